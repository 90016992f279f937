"""Knows who is who: enterprises, agents, keys, users, projects, claims."""
