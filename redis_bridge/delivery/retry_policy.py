"""The retry policy: what becomes of a job whose attempt ended in an error."""

from collections.abc import Callable
from enum import Enum

from deployments.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InternalError,
    InvalidImage,
    InvalidRequest,
    ModelCrashed,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from redis_bridge.client.clock import SteadyClock
from redis_bridge.settings import BridgeSettings
from redis_bridge.store.leases import Lease


class Disposition(Enum):
    """What becomes of a job whose attempt ended in an error."""

    REFUSE = "refuse"
    """The job itself is wrong: error answer and dead letter at once."""
    TRY_AGAIN = "try again"
    """Perhaps the job's fault, perhaps not: `max_attempts`, then error answer and dead letter."""
    WAIT = "wait"
    """Not the job's fault: back to the queue, until the model is given up."""


DISPOSITIONS: dict[type[ServingError], Disposition] = {
    ServingError: Disposition.TRY_AGAIN,
    InvalidRequest: Disposition.REFUSE,
    InvalidImage: Disposition.REFUSE,
    ImageTooLarge: Disposition.REFUSE,
    ModelNotFound: Disposition.WAIT,
    ModelUnavailable: Disposition.WAIT,
    ModelCrashed: Disposition.TRY_AGAIN,
    Overloaded: Disposition.WAIT,
    DeadlineExceeded: Disposition.TRY_AGAIN,
    InternalError: Disposition.TRY_AGAIN,
}
"""What each error means for the job; complete by test."""


def disposition(error: ServingError) -> Disposition:
    """The table's entry for `error`, or for the nearest of its base types."""
    return next(DISPOSITIONS[base] for base in type(error).__mro__ if base in DISPOSITIONS)


class RetryPolicy:
    """Applies the table to the jobs of one queue, within their attempts and their time."""

    def __init__(
        self, settings: BridgeSettings, clock: SteadyClock, is_given_up: Callable[[str | None], bool]
    ) -> None:
        """is_given_up: whether the model that a job names, or with None the queue's own, has been away too long."""
        self._settings = settings
        self._clock = clock
        self._is_given_up = is_given_up

    def is_exhausted(self, lease: Lease) -> bool:
        """Whether the job has had all its attempts."""
        return lease.attempts >= self._settings.max_attempts

    def after_failure(self, lease: Lease) -> Lease:
        """`lease` with one more failed attempt."""
        return lease.failed(self._clock.now_s())

    def verdict(
        self, error: ServingError, lease: Lease, model: str | None, is_paused: bool, is_probe: bool
    ) -> Disposition:
        """The table's entry for `error`, or REFUSE when the job has had its attempts or its time.

        is_paused: the model fails every job, so that this one is not at fault, and waits. is_probe: it was put to
        the paused model alone, and may be at fault after all.
        """
        verdict = disposition(error)
        is_last = lease.attempts + 1 >= self._settings.max_attempts
        if verdict is Disposition.TRY_AGAIN and is_paused and not (is_probe and is_last):
            verdict = Disposition.WAIT
        match verdict:
            case Disposition.REFUSE:
                return verdict
            case Disposition.TRY_AGAIN:
                is_over = is_last
            case Disposition.WAIT:
                waited_s = self._clock.waited_s(lease.record.first_s) if lease.record else 0.0
                is_over = self._is_given_up(model) or waited_s >= self._settings.give_up_after_s
        return Disposition.REFUSE if is_over else verdict
