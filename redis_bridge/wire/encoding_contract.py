"""What an encoding of the wire must offer; `encodings.py` lists those that there are. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis_bridge.store.retry_records import Text


class Unreadable(ValueError):
    """The bytes cannot be read in this encoding. The message says why, and where that is known."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a job's fields and an answer are written as bytes."""

    title: str
    """Its name in messages."""

    job_type: str
    """What a job must be, with its article: `a JSON object`."""

    image_type: str
    """What the field with the image must be: `base64 text`."""

    read: Callable[[Text, str], Any]
    """(payload, name of the field with the image) -> the value in the payload, a dict for a job. The image may be
    `bytes`, which are its pixels or its file, or base64 text. Its memory is bounded by the size of the payload,
    and nothing in the payload is executed. Raises Unreadable, and nothing else."""

    write: Callable[[Any], bytes]
    """An answer or an error, made of dict, list, str, int, float, bool and None, as the client reads it."""

    id_at_the_front: Callable[[Text], str | None]
    """The `id` of a job that cannot be read as a whole, where it is the first field; otherwise None. Looks at
    FRONT_BYTES only, as reading more may be what kills a bridge. Raises nothing."""


FRONT_BYTES = 2048
"""The beginning of a payload, in which the id is looked for."""
