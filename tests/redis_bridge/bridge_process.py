"""Bridges in processes of their own, which are killed by SIGKILL: by the test, or by themselves at one point.

    python -m tests.redis_bridge.bridge_process

reads commands from its standard input and answers each with one line: `start URL QUEUES POINT [FILE]` forks a bridge
and answers its process id, `wait PID` answers how it ended. It forks, since the imports take longer than all the
rest. FILE gets a line for each answer that the bridge is about to write: the key.

POINT: `before-NAME` or `after-NAME`, NAME being `wait` (the blocking move of a job), `take` (of several at once),
`predict` or `settle`; `silent` when the model never answers; `poison` for one that pictures of the colour POISON
kill; `late-poison` where it takes them longer than a trial; `sound` for a bridge that just works.
"""

import asyncio
import hashlib
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
from redis_bridge.client.connection import Connections
from redis_bridge.client.scripts import ALLOW_OOM
from redis_bridge.delivery.quarantine import TRIAL_TIMEOUT_S
from redis_bridge.store import job_scripts
from tests.redis_bridge.fakes import FAST, FakeCatalogue, FakeModel, model

SCRIPTS = {
    hashlib.sha1((flag + script).encode()).hexdigest(): name
    for name, script in (("take", job_scripts.RESERVE), ("settle", job_scripts.ACK))
    for flag in (ALLOW_OOM, "")
}

POISON = (66, 6, 64)
MAX_ATTEMPTS = 2
"""Of the bridges that can be poisoned; the others are killed by us, which is no fault of their jobs."""

dies_at = "sound"
notes = ""


def reach(point: str) -> None:
    """Dies when `point` is the one."""
    if point == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)


class DyingPipeline(Pipeline):
    """A pipeline that may be the last."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        first = next((command[0][0] for command in self.command_stack), "nothing")
        name = "wait" if first == "BLMOVE" else "other"
        answers = await super().execute(raise_on_error)
        if answers and answers[0] is not None:
            reach(f"after-{name}")
        return answers


class DyingRedis(Redis):
    """A connection whose commands may be the last."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        name = SCRIPTS.get(args[1], "other") if args[0] == "EVALSHA" else "other"
        if name == "settle":
            reach("before-settle")
            # The keys of a settlement: records, then slot and answer of each job.
            note([str(key) for key in args[5 : 3 + args[2] : 2]])
        answer = await super().execute_command(*args, **options)
        if name == "settle" or (name == "take" and answer[1]):
            reach(f"after-{name}")
        return answer

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return DyingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


async def serve(url: str, queues: str) -> None:
    """Serves `queues`, separated by commas and each with a model of its own, until the end."""
    answering = FakeModel()

    async def predict(name: str, requests: Sequence[Request]) -> list[Outcome]:
        reach("before-predict")
        if dies_at == "silent":
            await asyncio.Event().wait()
        if any(tuple(one.image.pixels[0, 0]) == POISON for one in requests if one.image.pixels is not None):
            reach("poison")
            if dies_at == "late-poison":
                await asyncio.sleep(TRIAL_TIMEOUT_S + 0.5)
                reach("late-poison")
        # Long enough for a kill to find jobs in the model.
        await asyncio.sleep(0.02)
        outcomes = await answering(name, requests)
        reach("after-predict")
        return outcomes

    redis = DyingRedis.from_url(url, socket_timeout=10)
    most = MAX_ATTEMPTS if "poison" in dies_at else 100
    settings = FAST.model_copy(update={"slots_per_queue": 32, "job_deadline_s": 600, "max_attempts": most})
    models = (model(f"demo-{number}", queue) for number, queue in enumerate(queues.split(",")))
    Bridge(Connections(redis), predict, FakeCatalogue(*models), settings).start()
    await asyncio.Event().wait()


def note(answered: list[str]) -> None:
    """Writes down what is about to be answered, all or nothing."""
    if notes:
        descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, "".join(f"{key}\n" for key in answered).encode())
        os.close(descriptor)


def start(url: str, queues: str, point: str, file: str = "") -> int:
    """The process id of a new bridge."""
    global dies_at, notes
    child = os.fork()
    if child == 0:
        dies_at, notes = point, file
        asyncio.run(serve(url, queues))
    return child


def main() -> None:
    """Obeys until its input ends, and then ends all."""
    children = set()
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "start":
            answer = start(*arguments)
            children.add(answer)
        else:
            _, status = os.waitpid(int(arguments[0]), 0)
            children.discard(int(arguments[0]))
            answer = os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
