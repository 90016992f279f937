"""Parts of the kind singer: a tap as a child process, its catalog, its messages."""
