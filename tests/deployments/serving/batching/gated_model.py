"""A model that runs a batch only when told to."""

import asyncio
import time
from collections.abc import Sequence


class Gate:
    """A model that runs a batch only when told to, and keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = asyncio.Event()
        self.open = asyncio.Event()

    async def run(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.started.set()
        await self.open.wait()
        if any(item < 0 for item in items):
            raise ValueError("a negative item")
        return [item * 10 for item in items]


def soon() -> float:
    return time.monotonic() + 30
