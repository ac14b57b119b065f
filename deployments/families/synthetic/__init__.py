"""Families without a trained model, for tests and benchmarks."""
