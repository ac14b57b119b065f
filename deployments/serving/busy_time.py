"""For how much of the time a replica had an image in work. Knows a clock only."""

import time
from collections.abc import Callable


class BusyTime:
    """clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_busy = False
        self._asked_at_s = self._settled_at_s = self._last_busy_at_s = clock()
        self._busy_s = 0.0

    def note(self, images_in_work: int) -> None:
        """There are so many now."""
        self._settle()
        self._is_busy = images_in_work > 0

    @property
    def seconds_idle(self) -> float:
        """Seconds since there was last an image in work; 0 while there is."""
        return 0.0 if self._is_busy else self._clock() - self._last_busy_at_s

    def share(self) -> float:
        """The part of the time since it was last asked, 0 to 1, in which there was an image in work."""
        self._settle()
        span_s = self._settled_at_s - self._asked_at_s
        share = self._busy_s / span_s if span_s > 0 else float(self._is_busy)
        self._asked_at_s, self._busy_s = self._settled_at_s, 0.0
        return share

    def _settle(self) -> None:
        now_s = self._clock()
        if self._is_busy:
            self._busy_s += now_s - self._settled_at_s
            self._last_busy_at_s = now_s
        self._settled_at_s = now_s
