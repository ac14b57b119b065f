"""The payloads that external workers read, byte by byte as the legacy web server wrote them.

    PREDICT       {"id": "<uuid>", "image": "<float32 BGR, (1, H, W, 3)>", "height": H, "width": W}
    SEGMENT       {"id": "<uuid>", "image": "<uint8 RGB, (1, H, W, 3)>", "height": H, "width": W, "prompts": ...}
    SEGMENT_FILE  {"id": "<uuid>", "img_key": "<uuid>", "prompts": ...}
    EMBED         {"id": "<uuid>", "img_key": "<uuid>", "prompts": {"fake": "data"}, "embedding": true}

The last two name the key under which the image file lies.
"""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pybase64
from numpy.typing import NDArray

from deployments.errors import ImageTooLarge, InternalError
from deployments.external import ExternalRequest, Task
from deployments.images import decoded_upright, read_header, to_pixels

BASE64_GROWTH = 4 / 3
_ENVELOPE_BYTES = 256


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class ExternalJob:
    """One job for an external worker."""

    queue: str
    request: ExternalRequest
    job_id: str = field(default_factory=_new_id)

    image_key: str = field(default_factory=_new_id)
    """Where the image file lies, for the tasks that send the file."""

    @property
    def sends_file(self) -> bool:
        """Whether the image file lies under `image_key`, and not in the text."""
        return self.request.task in (Task.SEGMENT_FILE, Task.EMBED)


def needed_bytes(job: ExternalJob, max_job_bytes: int) -> int:
    """Memory that `job_text` will take: the pixels, the array that is sent, and its text. Decodes nothing.

    Raises InvalidImage, and ImageTooLarge when the text would be longer than `max_job_bytes`.
    """
    if job.sends_file:
        return 0
    image = job.request.image
    if image.pixels is not None:
        height, width = image.pixels.shape[:2]
        return _checked_sizes(job, height, width, max_job_bytes)
    header = read_header(image).header
    return header.height_px * header.width_px * 3 + _checked_sizes(
        job, header.height_px, header.width_px, max_job_bytes
    )


def job_text(job: ExternalJob, max_job_bytes: int) -> bytes:
    """The text for the queue; the same each time. Takes tens of milliseconds for a large image.

    Raises InvalidImage, and ImageTooLarge when the text would be longer than `max_job_bytes`.
    """
    needed_bytes(job, max_job_bytes)
    request = job.request
    members: dict[str, Any] = {"id": job.job_id}
    match request.task:
        case Task.EMBED:
            members |= {"img_key": job.image_key, "prompts": {"fake": "data"}, "embedding": True}
        case Task.SEGMENT_FILE:
            members |= {"img_key": job.image_key, "prompts": request.prompts}
        case Task.SEGMENT:
            return _with_pixels(job, decoded_upright(request.image), {"prompts": request.prompts})
        case Task.PREDICT:
            return _with_pixels(job, to_pixels(request.image), {})
    return json.dumps(members).encode()


def _checked_sizes(job: ExternalJob, height: int, width: int, max_job_bytes: int) -> int:
    """Bytes of the array that is sent and of the text."""
    array_bytes = height * width * 3 * (4 if job.request.task is Task.PREDICT else 1)
    size_bytes = int(array_bytes * BASE64_GROWTH) + _ENVELOPE_BYTES
    if size_bytes > max_job_bytes:
        raise ImageTooLarge(
            f"the image is {width} x {height} pixels, which makes a job of {size_bytes} bytes for the external "
            f"worker; the limit is {max_job_bytes}"
        )
    return array_bytes + size_bytes


def _with_pixels(job: ExternalJob, pixels: NDArray[np.uint8], more: dict[str, Any]) -> bytes:
    height, width = pixels.shape[:2]
    is_float = job.request.task is Task.PREDICT
    array = pixels[:, :, ::-1].astype("<f4", order="C") if is_float else np.ascontiguousarray(pixels)
    head = json.dumps({"id": job.job_id, "image": ""}).removesuffix('"}')
    tail = json.dumps({"height": height, "width": width, **more}).removeprefix("{")
    return b"".join([head.encode(), pybase64.b64encode(array.data), b'", ', tail.encode()])


def file_bytes(job: ExternalJob) -> memoryview:
    """The image file, for jobs that send it."""
    encoded = job.request.image.encoded
    if encoded is None:
        raise InternalError(f"the task {job.request.task} needs the image file and was given pixels")
    return encoded.data


def checked_answer(queue: str, task: Task, payload: bytes) -> bytes:
    """`payload` when the client can read it. Raises InternalError when it is not JSON."""
    if task is Task.EMBED:
        return payload
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        shown = payload[:60].decode(errors="backslashreplace")
        raise InternalError(
            f"the external worker of queue {queue} gave an answer that is not JSON: {shown!r}"
        ) from None
    return payload
