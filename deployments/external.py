"""What a door asks of an external worker: a model that runs elsewhere and answers for a queue.

A worker of this kind is reached through whoever can (`AskExternal`), its answer is handed through untouched, and
it appears among the models of the system as a record that says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from deployments.catalogue import Catalogue, ModelRecord, ModelState
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import InvalidRequest, ModelNotFound, ServingError
from deployments.origin import Origin
from deployments.prediction import Opaque
from deployments.request import MAX_DEADLINE_S, Image

EXTERNAL_FAMILY = "external"
"""Stands where a model of our own names its family."""


class Task(StrEnum):
    """What an external worker is to do with the image."""

    PREDICT = "predict"
    """Find what is in it; the orientation in its EXIF data is ignored."""
    SEGMENT = "segment"
    """Cut out what the prompts point at; its EXIF orientation is applied to the pixels first."""
    SEGMENT_FILE = "segment-file"
    """The same, with the image file handed on as it is."""
    EMBED = "embed"
    """Compute its embedding, from the file as it is; the answer is bytes and no JSON."""


@dataclass(frozen=True, slots=True)
class ExternalRequest:
    """One image for an external worker.

    prompts: any JSON value, for the segmenting tasks.  deadline_s: seconds that are left, 0 to 3600.
    origin: for logs.
    """

    task: Task
    image: Image
    deadline_s: float
    prompts: Any = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.deadline_s <= MAX_DEADLINE_S:
            raise InvalidRequest(
                f"deadline_s must be above 0 and at most {MAX_DEADLINE_S:g}, got {self.deadline_s:g}"
            )


@dataclass(frozen=True, slots=True)
class ExternalWorker:
    """A queue that somebody else answers for. reason: why it cannot be reached now; '' when it can."""

    queue: str
    description: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What the application that reaches external workers says of itself. workers: None until they are known.
    reason: why its own queues are not served now; '' when they are. waiting: queue -> jobs that wait in it, those of
    external workers included; None where that is not known."""

    workers: tuple[ExternalWorker, ...] | None = None
    reason: str = ""
    waiting: Mapping[str, int] | None = None


class AskExternal(Protocol):
    """Asks the worker behind `queue`. An error is a value, never raised; cancelling the call withdraws the job.

    The payload of the answer is valid JSON, but for Task.EMBED.
    """

    async def __call__(self, queue: str, request: ExternalRequest) -> Opaque | ServingError: ...  # noqa: D102


async def no_external_workers(queue: str, request: ExternalRequest) -> Opaque | ServingError:
    """An `AskExternal` for a system without any."""
    del request
    return ModelNotFound(f"no external worker is known for queue {queue!r}")


def record_of(worker: ExternalWorker) -> ModelRecord:
    """The worker as one of the models of the system, named by its queue. Nobody knows whether it is alive."""
    definition = ModelDefinition(family=EXTERNAL_FAMILY, queues=(worker.queue,), description=worker.description)
    state = ModelState.UNHEALTHY if worker.reason else ModelState.READY
    return ModelRecord(worker.queue, definition, ModelKnobs(), state, worker.reason, is_external=True)


class WholeCatalogue:
    """The models of the running system and the external ones.

    A queue that somebody else has registered is served by somebody else, also where a model of ours lists it;
    a model's own name always means that model.
    """

    def __init__(self, own: Catalogue, external: Callable[[], tuple[ModelRecord, ...]]) -> None:
        self._own = own
        self._external = external

    def records(self) -> tuple[ModelRecord, ...]:
        """All models, sorted by name; a model of ours hides an external one of the same name."""
        own = self._own.records()
        names = {record.name for record in own}
        external = [record for record in self._external() if record.name not in names]
        return tuple(sorted([*own, *external], key=lambda record: record.name)) if external else own

    def resolve(self, name: str) -> ModelRecord:
        """The model with this name, or that answers for this queue. Raises ModelNotFound."""
        external = next((record for record in self._external() if record.name == name), None)
        if external is None or any(record.name == name for record in self._own.records()):
            return self._own.resolve(name)
        return external
