"""What a model's replica measures. The table of all names is docs/metrics.md.

`app.py` brings the meter that reports to Ray's metrics, `serve_meter.py`.
"""

from collections.abc import Sequence
from typing import Protocol

from deployments.prediction import Outcome

SECONDS_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]
BATCH_BUCKETS = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]


class Meter(Protocol):
    """Takes measurements of one model's replica. Cheap enough for every call."""

    def answered(self, outcomes: Sequence[Outcome], call_s: float, in_work: int) -> None:
        """One call has its outcomes after `call_s` seconds in this replica; `in_work` images are left there."""
        ...

    def batch(self, size: int, in_work: int) -> None:
        """A batch of `size` images starts; `in_work` images are taken in and not answered yet."""
        ...

    def batch_policy(self, limit: int, max_wait_s: float) -> None:
        """A batch may have `limit` images now, and wait `max_wait_s` seconds for them."""
        ...
