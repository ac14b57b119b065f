"""Bridges in processes of their own that kill themselves, by SIGKILL, each at one point of a job's life.

    python -m tests.redis_bridge.bridge_process URL QUEUE=POINT ...

With several pairs this process is the parent of one bridge for each, and prints how each of them ended.
POINT: `before NAME` or `after NAME`, NAME being a Redis command (BLMOVE), `begin` or `settle` for their
transactions, or `predict`; or `never`, when the model never answers and the test sends the signal.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge.bridge import Bridge
from tests.redis_bridge.fakes import FAST, FakeCatalogue, FakeModel, model

dies_at = "never"


def reach(point: str) -> None:
    """Dies when `point` is the one."""
    if point == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)


class DyingPipeline(Pipeline):
    """A transaction that may be the last."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        first = [str(command[0][0]) for command in self.command_stack]
        name = {"HSETNX": "begin", "SET": "settle" if "DEL" in first else "beat"}.get(first[0] if first else "")
        reach(f"before {name}")
        answers = await super().execute(raise_on_error)
        reach(f"after {name}")
        return answers


class DyingRedis(Redis):
    """A connection whose commands may be the last."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        name = str(args[0])
        answer = await super().execute_command(*args, **options)
        if answer is not None:
            reach(f"after {name}")
        return answer

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return DyingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


async def serve(url: str, queue: str) -> None:
    """Serves `queue` until the end."""
    answering = FakeModel()

    async def predict(name: str, requests: Sequence[Request]) -> list[Outcome]:
        reach("before predict")
        if dies_at == "never":
            await asyncio.Event().wait()
        outcomes = await answering(name, requests)
        reach("after predict")
        return outcomes

    redis = DyingRedis.from_url(url, socket_timeout=10)
    settings = FAST.model_copy(update={"slots_per_queue": 32, "job_deadline_s": 600})
    Bridge(redis, predict, FakeCatalogue(model("demo", queue)), settings).start()
    await asyncio.Event().wait()


def main(url: str, *pairs: str) -> None:
    """Forks after the imports, which take longer than all the rest."""
    global dies_at
    children = []
    for pair in pairs:
        child = os.fork() if len(pairs) > 1 else 0
        if child == 0:
            queue, dies_at = pair.split("=")
            asyncio.run(serve(url, queue))
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
