"""Sources behind HTTP: asking politely, logging in, and reading what they answer."""
