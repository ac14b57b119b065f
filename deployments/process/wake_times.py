"""What the start of a replica costs, by part."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class WakeTimes:
    """Seconds of each part, in the order in which they ended. A part that comes twice is added up."""

    def __init__(self) -> None:
        self.parts_s: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Around one part."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.parts_s[name] = self.parts_s.get(name, 0.0) + time.monotonic() - began_s

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.parts_s.items())
