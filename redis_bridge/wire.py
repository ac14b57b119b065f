"""The wire of the legacy queue clients: job text to Job, outcome to answer text. Pure; knows no Redis commands.

    RPUSH <queue> {"id": "<uuid>", "image": "<base64>", "height": 1080, "width": 1920}
    GET <uuid>    [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]
    or            {"error": {"code": "invalid-image", "message": "..."}}

An error is an object and never a list, so that no client takes it for "nothing found".
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

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
from deployments.images import ImageLimits
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Opaque, Outcome
from deployments.request import Image
from redis_bridge import keys
from redis_bridge.pixels import image_from_field

MAX_ID_LENGTH = 256

_ID_AT_THE_FRONT = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\\x00-\x1f]{1,256})"')


@dataclass(frozen=True, slots=True)
class WireLimits:
    """max_job_bytes: longest job text.  image: what the core takes."""

    max_job_bytes: int
    image: ImageLimits = field(default_factory=ImageLimits)


@dataclass(frozen=True, slots=True)
class Job:
    """A job that can be tried. job_id: the key under which the client waits for the answer."""

    job_id: str
    image: Image


@dataclass(frozen=True, slots=True)
class Malformed:
    """A job that can never be tried, and why. job_id: where to say so; None where nothing may be written."""

    job_id: str | None
    error: ServingError


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


def parse_job(payload: bytes, limits: WireLimits, taken_keys: Collection[str] = ()) -> Job | Malformed:
    """The job in `payload`. taken_keys: Redis keys in use for something else, which no answer may overwrite.

    Takes tens of milliseconds for a large picture, so it is run in a thread. Raises nothing.
    """
    if len(payload) > limits.max_job_bytes:
        text = f"the job has {len(payload)} bytes, the limit is {limits.max_job_bytes}"
        return Malformed(_id_at_the_front(payload, taken_keys), ImageTooLarge(text))
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        refusal = InvalidRequest(f"the job is no valid JSON: {error}")
        return Malformed(_id_at_the_front(payload, taken_keys), refusal)
    if not isinstance(fields, dict):
        return Malformed(None, InvalidRequest(f"a job must be a JSON object, got {_json_kind(fields)}"))
    try:
        job_id = checked_id(fields.get("id"), taken_keys)
    except InvalidRequest as error:
        return Malformed(None, error)
    try:
        image = image_from_field(fields.get("image"), fields.get("height"), fields.get("width"), limits.image)
    except ServingError as error:
        return Malformed(job_id, error)
    return Job(job_id, image)


def checked_id(job_id: Any, taken_keys: Collection[str]) -> str:
    """`job_id` when an answer may be written there. Raises InvalidRequest."""
    if not isinstance(job_id, str) or not 1 <= len(job_id) <= MAX_ID_LENGTH:
        raise InvalidRequest(f"id must be text of 1 to {MAX_ID_LENGTH} characters, got {_json_kind(job_id)}")
    if not job_id.isprintable():
        raise InvalidRequest("id must not hold control characters")
    if keys.is_reserved(job_id) or job_id in taken_keys:
        raise InvalidRequest(f"id must not be the name of a queue or of a key of this system, got {job_id!r}")
    return job_id


def answer(outcome: Outcome) -> bytes:
    """The text that the client finds under its job's id."""
    if isinstance(outcome, ServingError):
        return orjson.dumps({"error": {"code": outcome.code, "message": outcome.message}})
    if isinstance(outcome, Opaque):
        return outcome.payload
    return orjson.dumps(legacy_rows(outcome))


def _id_at_the_front(payload: bytes, taken_keys: Collection[str]) -> str | None:
    """The id of a job that cannot be read as a whole, so that its client need not wait for ever."""
    found = _ID_AT_THE_FRONT.match(payload, 0, 2048)
    if found is None:
        return None
    try:
        return checked_id(found[1].decode(), taken_keys)
    except (UnicodeDecodeError, InvalidRequest):
        return None


def _json_kind(value: Any) -> str:
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
