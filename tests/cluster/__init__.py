"""Three nodes on one machine: the bed, what is tried on it, and its own tests."""
