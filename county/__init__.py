"""A simulated county with its truth; fills real source systems for demo, bench and tests."""
