"""One folder per programme: place and year."""
