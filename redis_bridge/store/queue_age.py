"""How long the oldest job of a queue has waited, computed from its length alone.

Legacy jobs carry no time. But a queue is first in, first out, so the oldest waiting job is the first that came after
those that have left; and how many have come is seen at each update. No job is read for it.
"""

from collections import deque

FINENESS = 1000
"""Updates are remembered at intervals of this part of the age."""


class QueueAge:
    """The age of one queue's oldest job, as seen by one bridge.

    Too low by at most the time between two updates, and for jobs that waited before the first one. Where others take
    jobs from the queue as well, too high by their share: they are not seen to do it.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, waiting: int, left: int) -> float:
        """Seconds since the oldest waiting job was first seen to wait; 0 when none waits.

        waiting: jobs in the queue.  left: jobs that this bridge has leased from it so far and not requeued.
        """
        if waiting <= 0:
            self._seen.clear()
            return 0.0
        have_come = waiting + left
        if not self._seen:
            self._seen.append((now_s, have_come))
        last_s, last_come = self._seen[-1]
        if have_come > last_come and now_s - last_s >= (now_s - self._seen[0][0]) / FINENESS:
            self._seen.append((now_s, have_come))
        while self._seen and self._seen[0][1] <= left:
            self._seen.popleft()
        if not self._seen:
            self._seen.append((now_s, have_come))
        return now_s - self._seen[0][0]
