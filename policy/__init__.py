"""Judges: pure functions from facts and dated parameters to decisions with reasons."""
