"""The six stages as plain functions, what wires them, and the command line."""

STAGES = ("publish", "land", "refine", "measure", "assess", "seal")
