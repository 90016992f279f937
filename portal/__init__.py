"""Shows: the web pages; writes only through pipeline functions."""
