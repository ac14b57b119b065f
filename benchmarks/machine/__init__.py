"""Processes of a run: start, readiness, and the processor time that they use."""
