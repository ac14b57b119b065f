"""A counter that is cheap to add to, and is handed to Ray's metrics twice a second.

Each call into Ray's metrics costs as much as a small answer; Prometheus sees values of ten seconds ago anyway.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

PERIOD_S = 0.5


class SlowCounter(Protocol):
    """What Ray's counters offer."""

    def inc(self, value: int | float, tags: dict[str, str]) -> None:
        """Adds `value` to the series with these tags."""
        ...


class BufferedCounter:
    """Adds up on the event loop of its first caller.

    tag_keys: of every series, in order.  tags: those that all series share.
    """

    def __init__(self, counter: SlowCounter, tag_keys: tuple[str, ...], tags: Mapping[str, str]) -> None:
        self._counter = counter
        self._tag_keys = tag_keys
        self._tags = dict(tags)
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, amount: float, *values: str) -> None:
        """Adds `amount` to the series with these values of `tag_keys`; nothing where it is 0."""
        if not amount:
            return
        if not self._sums:
            asyncio.get_running_loop().call_later(PERIOD_S, self._hand_over)
        self._sums[values] = self._sums.get(values, 0) + amount

    def _hand_over(self) -> None:
        sums, self._sums = self._sums, {}
        for values, amount in sums.items():
            self._counter.inc(amount, {**self._tags, **dict(zip(self._tag_keys, values, strict=True))})
