"""The wire of the legacy queue clients: job text to Job, outcome to answer text. Pure; knows no Redis commands.

    RPUSH <queue> {"id": "<uuid>", "image": "<base64>", "height": 1080, "width": 1920}
    GET <uuid>    [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]
    or            {"error": {"code": "invalid-image", "message": "..."}}

That is the default; a queue's profile says in what its jobs and answers differ. An error looks the same on every
queue: an object and never a list, so that no client takes it for "nothing found".
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from deployments.errors import ImageTooLarge, InvalidRequest, ServingError
from deployments.images import ImageLimits
from deployments.prediction import Opaque, Outcome
from deployments.request import Image
from redis_bridge import keys
from redis_bridge.wire.answers import answer_text
from redis_bridge.wire.image_field import image_from_file, image_from_job, shown
from redis_bridge.wire.json_fields import NoJson, Payload, fields_of
from redis_bridge.wire.profiles import CVISIONAI, QueueProfile

MAX_ID_LENGTH = 256

_ID_AT_THE_FRONT = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\\x00-\x1f]{1,256})"')


@dataclass(frozen=True, slots=True)
class WireLimits:
    """max_job_bytes: longest job text.  image: what the core takes."""

    max_job_bytes: int
    image: ImageLimits = field(default_factory=ImageLimits)


@dataclass(frozen=True, slots=True)
class Job:
    """A job that can be tried. job_id: the key under which the client waits for the answer.
    model: the model that the job names, None for the queue's own; jobs of one queue may name different ones.
    done_list: the Redis list on which the client waits to be told that its answer is there."""

    job_id: str
    image: Image
    model: str | None = None
    done_list: str | None = None


@dataclass(frozen=True, slots=True)
class Referenced:
    """A job whose picture lies under a Redis key of its own: `with_picture` makes it a Job."""

    job_id: str
    image_key: str
    model: str | None = None
    done_list: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A job that can never be tried, and why. job_id: where to say so; None where nothing may be written."""

    job_id: str | None
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

    Takes tens of milliseconds for a large picture, so it is run in a thread. Raises nothing.
    """
    if len(payload) > limits.max_job_bytes:
        text = f"the job has {len(payload)} bytes, the limit is {limits.max_job_bytes}"
        return Malformed(id_at_the_front(payload, taken_keys, profile), ImageTooLarge(text))
    try:
        fields = fields_of(payload)
    except NoJson as error:
        refusal = InvalidRequest(f"the job is no valid JSON: {error}")
        return Malformed(id_at_the_front(payload, taken_keys, profile), refusal)
    if not isinstance(fields, dict):
        return Malformed(None, InvalidRequest(f"a job must be a JSON object, got {_json_kind(fields)}"))
    try:
        job_id = answer_key(fields.get("id"), taken_keys, profile)
    except InvalidRequest as error:
        return Malformed(None, error)
    done_list = None
    try:
        done_list = _done_list(fields, job_id, taken_keys)
        _refuse_other_wishes(fields, profile)
        model = _named_model(fields, profile)
        key_field = profile.image_key_field
        if key_field in fields and fields.get("image") is None:
            return Referenced(job_id, checked_key(str(key_field), fields[key_field], taken_keys), model, done_list)
        return Job(job_id, image_from_job(fields, profile, limits.image), model, done_list)
    except ServingError as error:
        return Malformed(job_id, error, done_list)


def with_picture(
    job: Referenced, content: bytes | ServingError | None, limits: WireLimits, profile: QueueProfile
) -> Job | Malformed:
    """`job` with its picture. content: what lies under its key; None where nothing does, or why it was not read."""
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
    return checked_key("id", profile.result_key_of(checked_key("id", job_id, taken_keys)), taken_keys)


def checked_key(field: str, key: Any, taken_keys: Collection[str]) -> str:
    """`key`, the value of `field`, when a client may name it. Raises InvalidRequest."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_ID_LENGTH:
        raise InvalidRequest(f"{field} must be text of 1 to {MAX_ID_LENGTH} characters, got {_json_kind(key)}")
    if not key.isprintable():
        raise InvalidRequest(f"{field} must not hold control characters")
    if keys.is_reserved(key) or key in taken_keys:
        raise InvalidRequest(f"{field} must not be the name of a queue or of a key of this system, got {key!r}")
    return key


def answer(outcome: Outcome, profile: QueueProfile = CVISIONAI) -> bytes:
    """The text that the client finds under its answer's key, in the shape of its queue."""
    if isinstance(outcome, Opaque):
        return outcome.payload
    if not isinstance(outcome, ServingError):
        try:
            return answer_text(outcome, profile)
        except InvalidRequest as error:
            outcome = error
    return orjson.dumps({"error": {"code": outcome.code, "message": outcome.message}})


def _done_list(fields: dict[str, Any], job_id: str, taken_keys: Collection[str]) -> str | None:
    """The list on which the client waits, None when it polls. Raises InvalidRequest."""
    done_list = fields.get("done_list")
    if done_list is None:
        return None
    if done_list == job_id:
        raise InvalidRequest(f"done_list must be another key than that of the answer, got {job_id!r}")
    return checked_key("done_list", done_list, taken_keys)


def _refuse_other_wishes(fields: dict[str, Any], profile: QueueProfile) -> None:
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
        raise InvalidRequest(f"{field} must be text, got {_json_kind(name)}")
    if not profile.models:
        return name
    if name not in profile.models:
        raise InvalidRequest(f"{field} must be one of {', '.join(sorted(profile.models))}, got {shown(name)}")
    return profile.models[name]


def id_at_the_front(payload: Payload, taken_keys: Collection[str], profile: QueueProfile) -> str | None:
    """The id of a job that cannot be read as a whole, so that its client need not wait for ever."""
    found = _ID_AT_THE_FRONT.match(payload, 0, 2048)
    if found is None:
        return None
    try:
        return answer_key(found[1].decode(), taken_keys, profile)
    except (UnicodeDecodeError, InvalidRequest):
        return None


def _json_kind(value: Any) -> str:
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
