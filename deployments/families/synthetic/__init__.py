"""Families without a trained model: a fixed answer for tests, and a detector of chosen cost for benchmarks.

A new one is one file, one line in the table of families, and one line in docs/models.md that says it is not a model.
"""
