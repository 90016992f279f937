"""The embedded stack: every process of one machine's deployment, started, watched and stopped."""
