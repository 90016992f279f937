"""Real servers of factories' systems, on loopback: each module starts and stops one kind."""
