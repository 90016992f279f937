"""One module per protocol; being in this folder is being registered."""
