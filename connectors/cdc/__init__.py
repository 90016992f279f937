"""What the kind cdc stands on: logs of changes of PostgreSQL and of MySQL."""
