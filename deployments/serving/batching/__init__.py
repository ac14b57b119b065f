"""Adaptive batching inside a replica: what waits becomes batches, and batches are run and watched.

`micro_batcher` forms batches, `batch_policy` decides how large and how late they may be, `batch_runs` runs them.
"""
