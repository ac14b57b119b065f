"""Finds out in the background whether the replicas of models answer.

What the controller says of a replica may be minutes old, when the controller itself or its machine is gone. So each
replica is asked for its health directly, every few seconds. Such a call does not wait behind images, does not wake a
model, is not counted by the autoscaler, and shows that the connection, the process and its event loop are alive. One
costs about a millisecond of processor time on either side.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import ray

from deployments.process.background_task import BackgroundTask

SERVE_NAMESPACE = "serve"
"""Of Ray, in which Serve names its replicas."""

PERIOD_S = 2.0

SILENT_AFTER_S = 7.0
"""Without an answer of any of its replicas for longer than this, a model counts as silent. A replica that computes
for seconds without giving its event loop a turn counts as silent too."""

AskReplica = Callable[[str], Awaitable[object]]
"""Returns if the replica of this name is healthy, raises if it is not or does not exist."""


class ReplicaActors:
    """An `AskReplica` for Serve's actors: what Serve's own controller calls, and how."""

    def __init__(self) -> None:
        self._actors: dict[str, Any] = {}

    async def __call__(self, name: str) -> None:
        """Raises what Ray raises, and what the replica's own check of its health does."""
        if name not in self._actors:
            self._actors[name] = await asyncio.to_thread(ray.get_actor, name, namespace=SERVE_NAMESPACE)
        try:
            await self._actors[name].check_health.remote()
        except BaseException:
            self._actors.pop(name, None)
            raise


class ReplicaProbe:
    """Asks from `start` to `stop`. replicas: model -> names of its running replicas, of all models to be watched."""

    def __init__(
        self,
        replicas: Callable[[], Mapping[str, Sequence[str]]],
        ask: AskReplica,
        period_s: float = PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._ask = ask
        self._period_s = period_s
        self._clock = clock
        self._answered_at_s: dict[str, float] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._background = BackgroundTask("probe of replicas", self._keep_asking)

    async def start(self) -> None:
        """Begins, in the background."""
        self._background.start()

    async def stop(self) -> None:
        """Ends the task and all questions under way."""
        await self._background.stop()
        tasks = set(self._asked.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def check(self) -> None:
        """Raises RuntimeError when the background task has died, for a health check."""
        self._background.check()

    def silent(self) -> dict[str, str]:
        """The watched models of which no replica has answered lately: name -> reason. Never waits."""
        silent_s = {model: self._clock() - answered_s for model, answered_s in self._answered_at_s.items()}
        return {
            model: f"does not answer: none of its replicas has for {seconds:.0f} s"
            for model, seconds in silent_s.items()
            if seconds > SILENT_AFTER_S
        }

    async def _keep_asking(self) -> None:
        while True:
            self.ask_all()
            await asyncio.sleep(self._period_s)

    def ask_all(self) -> None:
        """Asks every replica that has not been asked, or has answered."""
        watched = {model: names for model, names in self._replicas().items() if names}
        now_s = self._clock()
        self._answered_at_s = {model: self._answered_at_s.get(model, now_s) for model in watched}
        for model, names in watched.items():
            for name in names:
                if (model, name) not in self._asked:
                    task = asyncio.get_running_loop().create_task(self._ask_one(model, name))
                    self._asked[model, name] = task

    async def _ask_one(self, model: str, name: str) -> None:
        try:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(SILENT_AFTER_S):
                    await self._ask(name)
                if model in self._answered_at_s:
                    self._answered_at_s[model] = self._clock()
        finally:
            self._asked.pop((model, name), None)
