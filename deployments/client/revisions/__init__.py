"""Candidates beside a model: which requests they answer in its place, and which they only get a copy of.

    RevisionClient -> CandidateList, Shadows -> ModelClient

Imports the rest of `deployments.client` and the top of the core; only the doors import it.
"""
