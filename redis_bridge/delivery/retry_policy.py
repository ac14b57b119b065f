"""The retry policy: what becomes of a job whose attempt ended in an error."""

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


class Disposition(Enum):
    """What becomes of a job whose try ended in an error."""

    REFUSE = "refuse"
    """The job itself is wrong: error answer and dead letter at once."""
    TRY_AGAIN = "try again"
    """Perhaps the job's fault, perhaps not: a bounded number of tries, then error answer and dead letter."""
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
"""The door's one table of errors; complete by test."""


def disposition(error: ServingError) -> Disposition:
    """The table's entry for `error`, or for the nearest of its base types."""
    return next(DISPOSITIONS[base] for base in type(error).__mro__ if base in DISPOSITIONS)
