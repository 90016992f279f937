"""Keeps tables and the numbers computed from them."""
