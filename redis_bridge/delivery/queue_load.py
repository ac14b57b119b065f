"""How many jobs of one queue this bridge holds, and whether it may reserve more."""

import time
from collections.abc import Sequence

from redis_bridge import metrics
from redis_bridge.admission.limits import ConcurrencyLimit
from redis_bridge.client.connection import Backoff
from redis_bridge.delivery.circuit_breaker import NO_LIMIT, CircuitBreaker
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.model_calls import ModelCalls, Models
from redis_bridge.delivery.served_queue import ServedQueue
from redis_bridge.store.queue_age import QueueAge

GIVEN_BACK = "given-back"
"""Value of the metrics' label `outcome`."""

QUICK_FACTOR = 3
"""While the model is quick, three times the places are used: one group is in the model, the next is decoded, the one
before is answered, and still no job waits for long."""


class Readiness:
    """The model that answers for one queue. The jobs of a routed queue may name other models, so that one is always
    ready while its own model exists."""

    def __init__(self, queue: ServedQueue, models: Models) -> None:
        self._queue = queue
        self._models = models
        self._could_answer_at_s = time.monotonic()

    def can_answer(self) -> bool:
        """Whether jobs may be reserved for the model, as far as is known."""
        model = self._models.find(self._queue.name)
        if model is None:
            return False
        if not self._queue.is_routed and (not model.can_answer or self._models.breaker_of(model).is_paused):
            return False
        self._could_answer_at_s = time.monotonic()
        return True

    def room(self, in_work: int) -> int:
        """How many jobs may be reserved for what the model may be given now; any number once it is given up, to be
        told so. in_work: jobs of this queue that the bridge holds."""
        if self.is_given_up():
            return NO_LIMIT
        model = self._models.find(self._queue.name)
        if model is None or self._queue.is_routed:
            return NO_LIMIT if model else 0
        breaker = self._models.breaker_of(model)
        # A paused model is probed with one job, after all that it had before have come back.
        return breaker.room if model.can_answer and not (breaker.is_paused and in_work) else 0

    def is_paced(self) -> bool:
        """Whether the circuit breaker says when the next job is reserved."""
        breaker = self._breaker()
        return breaker is not None and not self._queue.is_routed and breaker.is_limited and not breaker.room

    def is_given_up(self) -> bool:
        """Whether the model has been away for `give_up_after_s`, so that clients are told."""
        if self.can_answer() or self._is_probed():
            return False
        return time.monotonic() - self._could_answer_at_s >= self._queue.settings.give_up_after_s

    def is_departed(self) -> bool:
        """Whether no model answers for the queue any more, and it is given up."""
        return self._models.find(self._queue.name) is None and self.is_given_up()

    def _is_probed(self) -> bool:
        """Whether the next job, or one that is in the model, shows whether it still fails everything."""
        model = self._models.find(self._queue.name)
        return model is not None and model.can_answer and self._models.breaker_of(model).is_probed

    def _breaker(self) -> CircuitBreaker | None:
        model = self._models.find(self._queue.name)
        return None if model is None else self._models.breaker_of(model)


class QueueLoad:
    """The jobs of one queue, counted from their reservation to their end."""

    def __init__(self, queue: ServedQueue, readiness: Readiness, calls: ModelCalls) -> None:
        self.limit = ConcurrencyLimit(queue.settings.slots_per_queue)
        self.in_flight = 0
        self._queue = queue
        self._readiness = readiness
        self._calls = calls
        self._left = 0
        self._age = QueueAge()
        self._backoff = Backoff()
        self._rest_until_s = 0.0
        self._is_swept = False

    @property
    def is_finished(self) -> bool:
        """Whether the model is gone for good and no client waits any more."""
        return self._is_swept and not self.in_flight

    @property
    def may_reserve(self) -> bool:
        """Whether jobs may be reserved now."""
        if self._readiness.can_answer():
            self._is_swept = False
        is_rested = time.monotonic() >= self._rest_until_s
        return is_rested and not self._is_swept and self._readiness.room(self.in_flight) > 0

    def oldest_s(self, waiting: int) -> float:
        """How long the oldest of the `waiting` jobs has waited, as far as this bridge has seen; see QueueAge."""
        return self._age.update(time.monotonic(), waiting, self._left)

    def fit_limit(self) -> None:
        """Sets the number of places to what suits the speed of the model."""
        places = self._queue.settings.slots_per_queue
        self.limit.count = QUICK_FACTOR * places if self._calls.is_quick else places

    def most(self, free: int) -> int:
        """How many jobs to reserve into `free` places: at most half as many as there are places, or a third while
        the model is quick, so that some are decoded while others are in the model."""
        # As the places were counted: the model may have become quick meanwhile.
        parts = QUICK_FACTOR if self.limit.count > self._queue.settings.slots_per_queue else 2
        share = -(-self.limit.count // parts)
        return min(free, share, self._calls.most_together(), self._readiness.room(self.in_flight))

    def reserved(self, count: int) -> None:
        """`count` jobs were reserved; 0 when none waited."""
        self.in_flight += count
        self._left += count
        if not count:
            self._is_swept = self._is_swept or self._readiness.is_departed()

    def ended(self, jobs: Sequence[LeasedJob], outcome: str) -> None:
        """These jobs have ended together. outcome: value of the metrics' label."""
        had_place = [leased.claims.place.release() for leased in jobs]
        self.in_flight -= len(jobs)
        if outcome == GIVEN_BACK:
            self._left -= len(jobs)
            if any(had_place) and not self._readiness.is_paced():
                self.rest()
        else:
            self._backoff.reset()
        self._queue.record(metrics.JOBS, len(jobs), outcome)
        self._queue.record(metrics.JOB_SECONDS, time.perf_counter() - jobs[0].leased_at_s)

    def rest(self) -> None:
        """Reserves nothing for a moment, longer each time."""
        self._rest_until_s = time.monotonic() + self._backoff.next_s()
