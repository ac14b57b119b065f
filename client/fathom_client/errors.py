"""Everything that the client raises.

FathomError
├── UnusableImage          what was handed over is no image, or its file cannot be read (also a ValueError)
├── WrongKindOfAnswer      asked for detections where a classifier answered, and the like
├── ServerNotReachable     no connection, or it was lost
│   └── TimedOut           connected, but silent for too long
├── UnexpectedAnswer       an answer that no server of this kind gives: is the address right?
└── Problem                the server's own refusal, with its status, code and detail
    ├── InvalidRequest     an option is unknown, out of range, or of no use to this model
    ├── InvalidImage       the server cannot read the image, or it is too large
    ├── ModelNotFound
    ├── NotAllowed         the API key is missing, unknown, or does not permit this
    ├── Overloaded         more work is waiting than can be done in time
    ├── Unavailable        the model or the server cannot answer now
    ├── ModelCrashed       the model died on this request
    ├── DeadlineExceeded   the model did not answer in time
    └── ServerFailed       a fault in the server
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class FathomError(Exception):
    """The base of all errors of this package. The text is for people."""

    may_pass: bool = False
    """Whether the same request may succeed a little later."""


class UnusableImage(FathomError, ValueError):
    """What was handed over is no image, or its file cannot be read."""


class WrongKindOfAnswer(FathomError):
    """The model answered something else than what was asked of its prediction."""


class ServerNotReachable(FathomError):
    """No connection to the server, or it was lost before the answer was there."""

    def __init__(self, message: str, may_pass: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class TimedOut(ServerNotReachable):
    """The server took the connection and was silent for longer than the timeout."""


class UnexpectedAnswer(FathomError):
    """An answer that no server of this kind gives."""


@dataclass(frozen=True)
class Refusal:
    """What a problem document (RFC 9457) says. code: the server's name for the error, "" where it gave none.
    retry_after_s: after how many seconds the server wants to be asked again, None where it did not say."""

    status: int
    code: str
    detail: str
    retry_after_s: float | None = None
    request_id: str | None = None


class Problem(FathomError):
    """The server's own refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    def __str__(self) -> str:
        name = f"{self.status} {self.code}".rstrip()
        return f"{self.detail} ({name})"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.refusal.status

    @property
    def code(self) -> str:
        """The server's name for this error, such as "invalid-image"; "" where it gave none."""
        return self.refusal.code

    @property
    def detail(self) -> str:
        """What went wrong, for people."""
        return self.refusal.detail

    @property
    def retry_after_s(self) -> float | None:
        """After how many seconds the server wants to be asked again, None where it did not say."""
        return self.refusal.retry_after_s


class InvalidRequest(Problem):
    """An option is unknown, out of range, or of no use to this model."""


class InvalidImage(Problem):
    """The server cannot read the image, or it is too large."""


class ModelNotFound(Problem):
    """No model has this name."""


class NotAllowed(Problem):
    """The API key is missing, unknown, or does not permit this."""


class Overloaded(Problem):
    """More work is waiting than can be done in time."""

    may_pass: bool = True


class Unavailable(Problem):
    """The model, or the server, cannot answer now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        # Our servers say when to come back; where they know of a model and do not say so, it will not be better then.
        self.may_pass = refusal.code != "model-unavailable" or refusal.retry_after_s is not None


class ModelCrashed(Problem):
    """Replicas of the model died repeatedly on this request, which may be the cause: asking again cannot help."""


class DeadlineExceeded(Problem):
    """The model did not answer in time. A model that is just waking up will answer a later request."""

    may_pass: bool = True


class ServerFailed(Problem):
    """A fault in the server."""


BY_CODE: Mapping[str, type[Problem]] = {
    "invalid-request": InvalidRequest,
    "invalid-image": InvalidImage,
    "image-too-large": InvalidImage,
    "model-not-found": ModelNotFound,
    "overloaded": Overloaded,
    "model-unavailable": Unavailable,
    "model-crashed": ModelCrashed,
    "deadline-exceeded": DeadlineExceeded,
    "internal": ServerFailed,
}
BY_STATUS: Mapping[int, type[Problem]] = {
    401: NotAllowed,
    403: NotAllowed,
    413: InvalidImage,
    422: InvalidRequest,
    429: Overloaded,
    502: Unavailable,  # of a proxy whose server is being restarted
    503: Unavailable,
    504: DeadlineExceeded,
}
"""For what came without a code that is known here."""


def problem_of(refusal: Refusal) -> Problem:
    """The error for a refusal."""
    other: type[Problem] = ServerFailed if refusal.status >= 500 else Problem
    kind = BY_CODE.get(refusal.code) or BY_STATUS.get(refusal.status, other)
    return kind(refusal)
