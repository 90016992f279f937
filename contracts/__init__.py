"""What each row must be, and the gate that decides."""
