"""Everything that can go wrong with a prediction, as a small tree.

    ServingError                 base; `code` names the fact, `is_temporary` whether trying again can help
    |-- InvalidRequest           an option or a field is wrong: names the field, the limit and the value
    |   |-- InvalidImage         the bytes are not an image that we read
    |   `-- ImageTooLarge        bytes or pixels over the limit
    |-- ModelNotFound            no model and no queue has this name
    |-- ModelUnavailable         the model exists, but cannot answer now (starting, failed, being replaced)
    |   `-- ModelCrashed         its replicas died repeatedly under this request, which may be the cause
    |-- Overloaded               refused early, so that accepted work stays fast
    |-- DeadlineExceeded         the time that the client gave is over
    `-- InternalError            our fault; details are in the log only

Each error takes ONE message: it crosses processes by pickle, which calls the constructor with `args` again.
Each door maps these to its own answers in one table, complete by test.
"""

from collections.abc import Iterator


class ServingError(Exception):
    """A prediction that could not be made, with a message that a client may see."""

    code = "internal"
    is_temporary = False

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @property
    def message(self) -> str:
        """The text for the client, without any traceback."""
        return str(self.args[0])


class InvalidRequest(ServingError):
    """A field of the request is missing or out of range."""

    code = "invalid-request"


class InvalidImage(InvalidRequest):
    """The image is empty, broken, or of a format that is not read."""

    code = "invalid-image"


class ImageTooLarge(InvalidRequest):
    """The image has more bytes or pixels than the limit."""

    code = "image-too-large"


class ModelNotFound(ServingError):
    """No model of this name, and no model answers for a queue of this name."""

    code = "model-not-found"


class ModelUnavailable(ServingError):
    """The model is known but cannot answer now; the message says why."""

    code = "model-unavailable"
    is_temporary = True

    is_other_family = False
    """Whether the weights are those of another family than the one that was to read them."""


class ModelCrashed(ModelUnavailable):
    """Replicas of the model died repeatedly under this request: it may be what kills them."""

    code = "model-crashed"
    is_temporary = False


class Overloaded(ServingError):
    """More work waits than can be done in time, so this request is refused at once."""

    code = "overloaded"
    is_temporary = True


class DeadlineExceeded(ServingError):
    """The client's time ran out before the answer was there."""

    code = "deadline-exceeded"


class InternalError(ServingError):
    """An unexpected failure of ours. The message never holds details: they are in the log."""

    code = "internal"


def all_error_types(base: type[ServingError] = ServingError) -> Iterator[type[ServingError]]:
    """Every type of the tree, the base first: what a door's table must cover."""
    yield base
    for child in base.__subclasses__():
        yield from all_error_types(child)
