"""Jobs of one queue that wait for the models that they name, out of the way of those behind them.

They stay in their leases, so that nothing is lost when the bridge dies. When their model answers again they go back
to the head of their queue, in the order in which they left it.
"""

import time

from deployments.errors import InvalidRequest, ServingError
from redis_bridge.delivery.leased_job import Ending, LeasedJob, Refuse, Requeue
from redis_bridge.delivery.model_calls import ModelCalls
from redis_bridge.delivery.served_queue import ServedQueue

PROBE_GAP_S = 1.0
"""How long a job that was requeued to probe a paused model has for its way there, before a second one goes."""


class Parking:
    """The parked jobs of one queue, by the model that they name, with None for the queue's own."""

    def __init__(self, queue: ServedQueue, calls: ModelCalls) -> None:
        self._queue = queue
        self._calls = calls
        self._jobs: dict[str | None, list[LeasedJob]] = {}
        self._away_since_s: dict[str | None, float] = {}
        self._probed_at_s: dict[str | None, float] = {}

    @property
    def count(self) -> int:
        """Jobs that are parked."""
        return sum(map(len, self._jobs.values()))

    @property
    def is_full(self) -> bool:
        """Whether no more may be parked."""
        return self.count >= self._queue.settings.max_set_aside

    def add(self, leased: LeasedJob, model: str | None) -> None:
        """`leased` waits here for the model that it names."""
        self._jobs.setdefault(model, []).append(leased)

    def take_all(self) -> list[LeasedJob]:
        """All parked jobs, the oldest first; none is parked from now on."""
        jobs = [leased for waiting in self._jobs.values() for leased in waiting]
        self._jobs.clear()
        return sorted(jobs, key=lambda leased: leased.leased_at_s)

    def is_given_up(self, model: str | None) -> bool:
        """Whether this model has been away for `give_up_after_s`, so that clients are told."""
        if self._unavailable(model) is None:
            self._away_since_s.pop(model, None)
            return False
        if self._calls.is_probed(model):
            return False
        now_s = time.monotonic()
        return now_s - self._away_since_s.setdefault(model, now_s) >= self._queue.settings.give_up_after_s

    def due(self) -> list[Ending]:
        """How parked jobs end now that their models have answered again, were given up, or are to be probed. The jobs
        are not parked any more."""
        endings = [self._ending_of(model) for model in {*self._jobs, *self._away_since_s}]
        return [ending for ending in endings if ending is not None]

    def _ending_of(self, model: str | None) -> Ending | None:
        error, is_given_up = self._unavailable(model), self.is_given_up(model)
        if model not in self._jobs:
            return None
        if error is not None and is_given_up:
            return Refuse(self._jobs.pop(model), error)
        if error is None and not self._calls.is_crowded(model):
            return Requeue(self._jobs.pop(model))
        if self._calls.is_probe_due(model) and self._may_probe(model):
            probe = self._jobs[model].pop(0)
            if not self._jobs[model]:
                del self._jobs[model]
            return Requeue([probe])
        return None

    def _may_probe(self, model: str | None) -> bool:
        now_s = time.monotonic()
        if now_s - self._probed_at_s.get(model, float("-inf")) < PROBE_GAP_S:
            return False
        self._probed_at_s[model] = now_s
        return True

    def _unavailable(self, model: str | None) -> ServingError | None:
        """As `ModelCalls` says, except for a named model that is gone: its jobs are refused when they are decoded
        again."""
        error = self._calls.unavailable(model)
        return None if isinstance(error, InvalidRequest) else error
