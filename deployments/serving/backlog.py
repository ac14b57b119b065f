"""How much waits for a model in a queue that the autoscaler cannot see: its requests say so.

The door that reads such a queue writes its length into each request. So the depth reaches the autoscaler through the
replica, and nobody but that door needs to know where the queue is or how to reach it.
"""

import time
from collections.abc import Callable, Iterable

from deployments.request import Request

HEARD_FOR_S = 30.0
"""Without news for longer than this, the backlog is forgotten: its door, or the queue, may be away."""


class Backlog:
    """One replica's knowledge. clock: seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._images = 0
        self._heard_at_s = float("-inf")

    def hear(self, requests: Iterable[Request]) -> None:
        """Remembers what these requests say; those of doors without a queue say nothing."""
        known = [request.waiting_behind for request in requests if request.waiting_behind is not None]
        if known:
            self._images, self._heard_at_s = max(known), self._clock()

    @property
    def images(self) -> int:
        """Images that wait elsewhere now; 0 when nobody has said so lately."""
        return self._images if self._clock() - self._heard_at_s < HEARD_FOR_S else 0
