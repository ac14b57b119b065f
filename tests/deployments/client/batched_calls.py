"""Calls to a replica that a test lets through."""

import asyncio

from deployments.prediction import Opaque, Outcome
from deployments.request import Image, Request


def request(number: int, deadline_s: float = 30) -> Request:
    return Request(Image.from_encoded(str(number).encode()), deadline_s=deadline_s)


class Calls:
    """Keeps every call until it is let through; answers each image with its own number."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.deadlines_s: list[float] = []
        self.cancelled = 0
        self.may_return = asyncio.Event()
        self.error: Exception | None = None
        self.takes_s = 0.0

    async def send(self, requests: list[Request]) -> list[Outcome]:
        numbers = [bytes(one.image.encoded) for one in requests if one.image.encoded is not None]
        self.sent.append(numbers)
        self.deadlines_s += [one.deadline_s for one in requests]
        try:
            await self.may_return.wait()
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [Opaque(number, "m") for number in numbers]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
