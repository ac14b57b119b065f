"""A meter for replicas whose measurements a test does not look at."""

from collections.abc import Sequence

from deployments.prediction import Outcome


class NoMeter:
    """Measures nothing."""

    def answered(self, outcomes: Sequence[Outcome], call_s: float, in_work: int) -> None:
        """Ignored."""

    def batch(self, size: int, in_work: int) -> None:
        """Ignored."""

    def batch_policy(self, limit: int, max_wait_s: float) -> None:
        """Ignored."""
