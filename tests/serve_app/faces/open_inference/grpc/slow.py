"""Calls that take their time, and what tells how far they have come."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
from starlette.types import Scope

from deployments.prediction import Outcome
from deployments.request import Request
from serve_app.faces.open_inference.grpc.calls import everybody
from serve_app.faces.open_inference.grpc.rpcs import SERVICE
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.open_inference.grpc.asking import infer_request

INFER = infer_request().SerializeToString()
INFER_PATH = f"/{SERVICE}/ModelInfer"
WAIT_S = 20.0


@dataclass
class Count:
    """A number that can be waited for."""

    now: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, some: int) -> None:
        self.now += some
        self._changed.set()
        self._changed = asyncio.Event()

    async def becomes(self, wanted: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while self.now != wanted:
                await self._changed.wait()


@dataclass
class SlowSystem(FakeSystem):
    """Its model answers when it is told to."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    in_work: Count = field(default_factory=Count)

    async def predict(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        self.in_work.add(1)
        try:
            await self.may_answer.wait()
        finally:
            self.in_work.add(-1)
        return await super().predict(model, requests)


@dataclass
class Come:
    """Knows everybody, and counts the calls that have come as far as their places."""

    calls: Count = field(default_factory=Count)

    async def __call__(self, scope: Scope) -> bool:
        self.calls.add(1)
        return await everybody(scope)


def begun(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryCall:
    """A call that is on its way."""
    return channel.unary_unary(INFER_PATH)(INFER)


def silent(channel: grpc.aio.Channel) -> grpc.aio.StreamUnaryCall:
    """A call that never sends its message."""
    return channel.stream_unary(INFER_PATH)()
