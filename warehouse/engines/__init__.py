"""Who runs the SQL."""
