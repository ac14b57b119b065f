"""Stops feeding a model that fails every job, and probes it until it answers again.

A job that fails may be at fault itself; many different ones in a row, without an answer between them, are not. Then
the model is paused: its jobs are kept, and one at a time is tried, at growing intervals, until one is answered. From
then on it gets two at once, four, eight and so on. So a job that takes all those with it that are in the model at the
same time is soon alone there, and known.
"""

import time
from collections.abc import Callable, Sequence

from deployments.errors import ServingError
from deployments.prediction import Outcome
from redis_bridge.delivery.retry_policy import Disposition, disposition

SHORTEST_PAUSE_S = 1.0

NO_LIMIT = 2**10
"""Above this many jobs at once a model is not limited any more."""


class CircuitBreaker:
    """One model, as this bridge sees it."""

    def __init__(self, pause_after: int, longest_pause_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """pause_after: this many different jobs must fail in a row.  longest_pause_s: between two probes.
        now: monotonic seconds."""
        self._now = now
        self._pause_after = pause_after
        self._longest_pause_s = longest_pause_s
        self._failed: set[str] = set()
        self._most = NO_LIMIT
        self._under_way = 0
        self._pause_s = 0.0
        self._probe_at_s = 0.0
        self._is_probing = False
        self.stalled = 0
        """Jobs of queues of several models that have been in this model for long."""

    @property
    def is_paused(self) -> bool:
        """Whether it fails every job."""
        return self._pause_s > 0

    @property
    def is_probed(self) -> bool:
        """Whether it is paused and one job is in it, or may be: whether it still fails is not known."""
        return self.is_paused and (self._is_probing or self.room > 0)

    @property
    def is_limited(self) -> bool:
        """Whether it is paused, or was a moment ago."""
        return self.is_paused or self._most < NO_LIMIT

    @property
    def room(self) -> int:
        """How many jobs may be put to the model now: while it is paused one, when that is due."""
        if self.is_paused:
            return int(not self._is_probing and self._now() >= self._probe_at_s)
        return max(0, self._most - self._under_way) if self.is_limited else NO_LIMIT

    def admit(self, count: int) -> int:
        """How many of `count` jobs are put to the model. `note` follows."""
        admitted = min(count, self.room) if self.is_limited else count
        self._is_probing = self._is_probing or (self.is_paused and admitted > 0)
        self._under_way += admitted
        return admitted

    def note(self, job_ids: Sequence[str], outcomes: Sequence[Outcome | None], is_probe: bool) -> bool:
        """What became of jobs that were admitted; is_probe: while it was paused. Returns whether this paused
        the model, or ended its pause.

        Errors of the client, and errors without an attempt, count neither as failure nor as answer.
        """
        self._under_way -= len(job_ids)
        if any(outcome is not None and not isinstance(outcome, ServingError) for outcome in outcomes):
            return self._note_answer()
        failed = [job_id for job_id, outcome in zip(job_ids, outcomes, strict=True) if _is_failure(outcome)]
        if self.is_paused:
            if is_probe:
                self._schedule(self._pause_s * (2 if failed else 1))
            return False
        self._failed.update(failed)
        if not failed or (len(self._failed) < self._pause_after and not self.is_limited):
            return False
        self._schedule(SHORTEST_PAUSE_S)
        return True

    def _note_answer(self) -> bool:
        was_paused = self.is_paused
        self._failed.clear()
        self._is_probing = False
        self._pause_s = 0.0
        self._most = 2 if was_paused else min(self._most * 2, NO_LIMIT)
        return was_paused

    def _schedule(self, pause_s: float) -> None:
        self._pause_s = min(pause_s, self._longest_pause_s)
        self._is_probing = False
        self._probe_at_s = self._now() + self._pause_s


class CircuitBreakers:
    """All models, by name."""

    def __init__(self, pause_after: int, longest_pause_s: float) -> None:
        self._limits = (pause_after, longest_pause_s)
        self._of: dict[str, CircuitBreaker] = {}

    def of(self, model: str) -> CircuitBreaker:
        """The one of `model`."""
        breaker = self._of.get(model)
        if breaker is None:
            breaker = self._of[model] = CircuitBreaker(*self._limits)
        return breaker


def _is_failure(outcome: Outcome | None) -> bool:
    return isinstance(outcome, ServingError) and disposition(outcome) is Disposition.TRY_AGAIN
