"""Jobs of one queue that wait for the models that they name, out of the way of those behind them. Knows no wire.

They stay in their slots, so that nothing is lost when the bridge dies. When their model answers again they go back to
the head of their queue, in the order in which they left it.
"""

import time
from collections.abc import Callable

from deployments.errors import InvalidRequest, ServingError
from redis_bridge.client.connection import pause
from redis_bridge.delivery.context import Door, Signals
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.model_calls import ModelCalls
from redis_bridge.delivery.settlement import Settlement

LOOK_S = 0.1

PROBE_GAP_S = 1.0
"""How long a job that went back to be tried in a paused model has for its way there, before a second one goes."""


class Parking:
    """The jobs of `queue` that wait outside it. is_crowded: whether too many jobs are in the model of this name."""

    def __init__(
        self,
        queue: str,
        door: Door,
        asking: ModelCalls,
        endings: Settlement,
        is_crowded: Callable[[str | None], bool],
    ) -> None:
        self._queue = queue
        self._door = door
        self._asking = asking
        self._endings = endings
        self._is_crowded = is_crowded
        self._jobs: dict[str | None, list[LeasedJob]] = {}
        self._away_since_s: dict[str | None, float] = {}
        self._probed_at_s: dict[str | None, float] = {}

    @property
    def count(self) -> int:
        """Jobs that wait here."""
        return sum(map(len, self._jobs.values()))

    async def add(self, held: LeasedJob, model: str | None) -> None:
        """`held` waits here for the model that it names, or at the end of its queue where too many do. None for the
        queue's own model."""
        if self.count >= self._door.settings.max_set_aside:
            await self._endings.requeue(held, to_end=True)
            return
        self._endings.set_aside(held)
        self._jobs.setdefault(model, []).append(held)

    def is_given_up(self, model: str | None) -> bool:
        """Whether this model has been away for so long that those who wait are told so."""
        if self._trouble_of(model) is None:
            self._away_since_s.pop(model, None)
            return False
        if self._asking.is_tried(model):
            return False
        now_s = time.monotonic()
        return now_s - self._away_since_s.setdefault(model, now_s) >= self._door.settings.give_up_after_s

    async def keep(self, signals: Signals) -> None:
        """Looks after them until the stop, and then gives all back."""
        while not signals.stop.is_set():
            for model in {*self._jobs, *self._away_since_s}:
                await self._look_at(model)
            await pause(LOOK_S, signals.stop)

    async def give_all_back(self) -> None:
        """All are the next of their queue again, the oldest first."""
        jobs = [held for waiting in self._jobs.values() for held in waiting]
        self._jobs.clear()
        if jobs:
            await self._endings.requeue(*sorted(jobs, key=lambda held: held.taken_at_s))

    async def _look_at(self, model: str | None) -> None:
        trouble, is_given_up = self._trouble_of(model), self.is_given_up(model)
        if model not in self._jobs:
            return
        if trouble is not None and is_given_up:
            for held in self._jobs.pop(model):
                await self._endings.dead_letter(held, trouble)
        elif trouble is None and not self._is_crowded(model):
            await self._endings.requeue(*self._jobs.pop(model))
        elif self._asking.is_probe_due(model) and self._may_probe(model):
            await self._endings.requeue(self._jobs[model].pop(0))
            if not self._jobs[model]:
                del self._jobs[model]

    def _may_probe(self, model: str | None) -> bool:
        now_s = time.monotonic()
        if now_s - self._probed_at_s.get(model, float("-inf")) < PROBE_GAP_S:
            return False
        self._probed_at_s[model] = now_s
        return True

    def _trouble_of(self, model: str | None) -> ServingError | None:
        """As `ModelCalls` says, except for a named model that is gone: its jobs are refused when they
        are read again."""
        trouble = self._asking.trouble_of(model)
        return None if isinstance(trouble, InvalidRequest) else trouble
