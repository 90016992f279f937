"""One clause per file."""
