"""The wire of the legacy queue clients: payload to Job, outcome to answer. Pure.

    RPUSH <queue> {"id": "<uuid>", "image": "<base64>", "height": 1080, "width": 1920}
    GET <uuid>    [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]
    or            {"error": {"code": "invalid-image", "message": "..."}}

That is the default; a queue's profile says how its jobs and answers differ, also in their encoding. An error has the
same shape on every queue: an object and never a list, so that no client takes it for "nothing found".
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from deployments.errors import (
    ImageTooLarge,
    InvalidRequest,
    ServingError,
)
from deployments.images import ImageLimits
from deployments.prediction import Opaque, Outcome
from deployments.request import Image
from redis_bridge import keys
from redis_bridge.wire.answers import answer_value
from redis_bridge.wire.encoding_contract import Payload, Unreadable
from redis_bridge.wire.encodings import ENCODINGS
from redis_bridge.wire.image_field import image_from_file, image_from_job, shown
from redis_bridge.wire.profiles import CVISIONAI, QueueProfile

MAX_ID_LENGTH = 256


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How large a job may be."""

    max_job_bytes: int
    """Longest payload."""

    image: ImageLimits = field(default_factory=ImageLimits)
    """What the core takes."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a model can answer."""

    job_id: str
    """Key under which the client waits for the answer."""

    image: Image

    model: str | None = None
    """The model that the job names, None for the queue's own; jobs of one queue may name different ones."""

    done_list: str | None = None
    """The Redis list on which the client waits for the news that its answer is there."""

    traceparent: str | None = None
    """The span of the job, where it is traced."""


@dataclass(frozen=True, slots=True)
class Referenced:
    """A job whose image lies under a Redis key of its own: `with_image` makes it a Job."""

    job_id: str
    image_key: str
    model: str | None = None
    done_list: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A job that no model can answer, and why."""

    job_id: str | None
    """Key for the error; None where nothing may be written."""

    error: ServingError
    done_list: str | None = None


def parse_job(
    payload: Payload,
    limits: WireLimits,
    taken_keys: Collection[str] = (),
    profile: QueueProfile = CVISIONAI,
) -> Job | Referenced | Malformed:
    """The job in `payload`. taken_keys: Redis keys in use for something else, which no answer may overwrite.
    profile: the wire format of its queue.

    Takes tens of milliseconds for a large image, so it is run in a thread. Raises nothing.
    """
    encoding = ENCODINGS[profile.encoding]
    if len(payload) > limits.max_job_bytes:
        too_large = ImageTooLarge(f"the job has {len(payload)} bytes, the limit is {limits.max_job_bytes}")
        return Malformed(id_at_the_front(payload, taken_keys, profile), too_large)
    try:
        fields = encoding.read(payload, profile.image_field)
    except Unreadable as error:
        invalid = InvalidRequest(f"the job is not valid {encoding.title}: {error}")
        return Malformed(id_at_the_front(payload, taken_keys, profile), invalid)
    if not isinstance(fields, dict):
        return Malformed(None, InvalidRequest(f"a job must be {encoding.job_type}, got {_type_name(fields)}"))
    try:
        job_id = answer_key(fields.get("id"), taken_keys, profile)
    except InvalidRequest as error:
        return Malformed(None, error)
    done_list = None
    try:
        done_list = _done_list(fields, job_id, taken_keys)
        _refuse_embedding(fields, profile)
        model = _named_model(fields, profile)
        key_field = profile.image_key_field
        if key_field in fields and fields.get(profile.image_field) is None:
            return Referenced(job_id, checked_key(str(key_field), fields[key_field], taken_keys), model, done_list)
        return Job(job_id, image_from_job(fields, profile, limits.image), model, done_list)
    except ServingError as error:
        return Malformed(job_id, error, done_list)


def with_image(
    job: Referenced, content: bytes | ServingError | None, limits: WireLimits, profile: QueueProfile
) -> Job | Malformed:
    """`job` with its image. content: what lies under its key, None for nothing, or the error of reading it."""
    field = profile.image_key_field or "image key"
    try:
        if isinstance(content, ServingError):
            raise content
        if content is None:
            raise InvalidRequest(f"{field} names the key {shown(job.image_key)}, under which there is nothing")
        return Job(job.job_id, image_from_file(content, field, limits.image), job.model, job.done_list)
    except ServingError as error:
        return Malformed(job.job_id, error, job.done_list)


def answer_key(job_id: Any, taken_keys: Collection[str], profile: QueueProfile = CVISIONAI) -> str:
    """The key for the answer to the job `job_id`. Raises InvalidRequest when no answer may be written there."""
    return checked_key("id", profile.answer_key_of(checked_key("id", job_id, taken_keys)), taken_keys)


def checked_key(field: str, key: Any, taken_keys: Collection[str]) -> str:
    """`key`, the value of `field`, when a client may name it. Raises InvalidRequest."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_ID_LENGTH:
        raise InvalidRequest(f"{field} must be text of 1 to {MAX_ID_LENGTH} characters, got {_type_name(key)}")
    if not key.isprintable():
        raise InvalidRequest(f"{field} must not hold control characters")
    if keys.is_reserved(key) or key in taken_keys:
        raise InvalidRequest(f"{field} must not be the name of a queue or of a key of this system, got {key!r}")
    return key


def answer(outcome: Outcome, profile: QueueProfile = CVISIONAI) -> bytes:
    """What the client finds under its answer's key, in the shape and the encoding of its queue."""
    if isinstance(outcome, Opaque):
        return outcome.payload
    write = ENCODINGS[profile.encoding].write
    if not isinstance(outcome, ServingError):
        try:
            return write(answer_value(outcome, profile))
        except InvalidRequest as error:
            outcome = error
    return write({"error": {"code": outcome.code, "message": outcome.message}})


def _done_list(fields: dict[str, Any], job_id: str, taken_keys: Collection[str]) -> str | None:
    """The list on which the client waits, None when it polls. Raises InvalidRequest."""
    done_list = fields.get("done_list")
    if done_list is None:
        return None
    if done_list == job_id:
        raise InvalidRequest(f"done_list must be another key than that of the answer, got {job_id!r}")
    return checked_key("done_list", done_list, taken_keys)


def _refuse_embedding(fields: dict[str, Any], profile: QueueProfile) -> None:
    """A client that asks for an embedding would take any answer for its bytes."""
    if profile.image_key_field is not None and fields.get("embedding") is True:
        raise InvalidRequest("embedding asks for the embedding of the image, which no model of this system gives")


def _named_model(fields: dict[str, Any], profile: QueueProfile) -> str | None:
    """The model that the job names. Raises InvalidRequest when the profile knows no such name."""
    field = profile.model_field
    name = None if field is None else fields.get(field)
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidRequest(f"{field} must be text, got {_type_name(name)}")
    if not profile.models:
        return name
    if name not in profile.models:
        raise InvalidRequest(f"{field} must be one of {', '.join(sorted(profile.models))}, got {shown(name)}")
    return profile.models[name]


def id_at_the_front(payload: Payload, taken_keys: Collection[str], profile: QueueProfile) -> str | None:
    """The key for the answer to a job that cannot be read as a whole, so that its client can be told."""
    job_id = ENCODINGS[profile.encoding].id_at_the_front(payload)
    try:
        return None if job_id is None else answer_key(job_id, taken_keys, profile)
    except InvalidRequest:
        return None


_TYPE_NAMES = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    type(None): "nothing",
}


def _type_name(value: Any) -> str:
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return _TYPE_NAMES.get(type(value), "something else")
