"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from fathom_client.errors import FathomError, Problem


@dataclass(frozen=True, slots=True)
class Retry:
    """attempts: in all; 1 sends nothing again, None sets no limit but the time. total_s: after so many seconds no
    further attempt begins. pause_s: before the second attempt; it doubles each time up to longest_pause_s. A pause
    that the server asks for (Retry-After) is kept in any case; where it would end after total_s, the error is raised
    at once."""

    attempts: int | None = None
    total_s: float = 120.0
    pause_s: float = 0.5
    longest_pause_s: float = 10.0

    def __post_init__(self) -> None:
        times_s = (self.total_s, self.pause_s, self.longest_pause_s)
        if (self.attempts is not None and self.attempts < 1) or not all(one_s >= 0 for one_s in times_s):
            raise ValueError(f"a retry has 1 attempt at least, and times of 0 s at least: {self}")


class Attempts:
    """The attempts of one request."""

    def __init__(
        self,
        retry: Retry,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._retry = retry
        self._clock = clock
        self._chance = chance
        self._made = 0
        self._end = clock() + retry.total_s

    def pause_after(self, error: FathomError) -> float | None:
        """How many seconds to wait before the next attempt; None: there is none."""
        self._made += 1
        if not error.may_pass or self._made == self._retry.attempts:
            return None
        asked_for = error.retry_after_s if isinstance(error, Problem) else None
        own = min(self._retry.pause_s * 2 ** min(self._made - 1, 30), self._retry.longest_pause_s)
        # A little more by chance, so that clients that were refused together do not come back together.
        pause = (own if asked_for is None else asked_for) + self._chance() * own / 4
        return pause if self._clock() + pause < self._end else None


def seconds_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """The value of a header Retry-After, in seconds or as a date of HTTP; None where there is none or it says
    nothing."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:  # "-0000"
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - (now or datetime.now(timezone.utc))).total_seconds())
