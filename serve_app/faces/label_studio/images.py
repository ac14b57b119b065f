"""The image of a task: in it as a data URI, on the web, or with Label Studio, uploaded or in its cloud storage."""

import asyncio
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidImage, InvalidRequest
from deployments.text.base64_text import decoded_base64
from serve_app.bodies.option_values import shown
from serve_app.faces.label_studio.projects import Uploads
from serve_app.fetching.fetcher import ImageFetcher

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,20}):", re.IGNORECASE)
_CLOUDS = ("s3", "gs", "azure-blob")
_LONGEST_CLOUD_URI = 2000
_IN_THREAD_FROM_CHARACTERS = 2**20


@dataclass(frozen=True, slots=True)
class TaskImages:
    """Reads the images of one request. key: of the tasks' data. uploads: None where nobody has said it."""

    fetcher: ImageFetcher
    key: str
    uploads: Uploads | None

    async def image_of(self, task: Mapping[str, Any], held: HeldBytes, ends_at_s: float) -> bytes:
        """The file. Raises InvalidRequest, InvalidImage and what `ImageFetcher.fetch` raises."""
        field_name, text = f"data.{self.key[:50]}", task["data"].get(self.key)
        if not isinstance(text, str) or not text.strip():
            raise InvalidRequest(f"{field_name} must be the image's address, got {shown(text)}")
        text = text.strip()
        if text.startswith("/"):
            return await self._of_label_studio(text, held, ends_at_s)
        scheme = found["scheme"].lower() if (found := _SCHEME.match(text)) else ""
        if scheme == "data":
            return await _decoded(text, field_name, held)
        if scheme in ("http", "https"):
            return await self.fetcher.fetch(text, held, ends_at_s, self.uploads.secret if self.uploads else None)
        if scheme in _CLOUDS:
            return await self._of_label_studio(_presigned_path(text, task.get("id"), field_name), held, ends_at_s)
        raise InvalidRequest(
            f"{field_name} must be http(s)://, a path of Label Studio, a data URI, s3:, gs: or azure-blob:, "
            f"got {text[:50]!r}"
        )

    async def _of_label_studio(self, path: str, held: HeldBytes, ends_at_s: float) -> bytes:
        if self.uploads is None:
            raise InvalidRequest(
                f"{path[:50]!r} is a file of Label Studio, which has not called /setup for this project since this "
                "server started: open the project's Settings > Model, or send params.hostname and params.access_token"
            )
        return await self.fetcher.fetch(self.uploads.address_of(path), held, ends_at_s, self.uploads.secret)


async def _decoded(text: str, field_name: str, held: HeldBytes) -> bytes:
    held.grow(len(text))
    if len(text) < _IN_THREAD_FROM_CHARACTERS:
        content = decoded_base64(text, field_name)
    else:
        content = await asyncio.to_thread(decoded_base64, text, field_name)
    if not content:
        raise InvalidImage(f"{field_name} is empty")
    return content


def _presigned_path(uri: str, task_id: Any, field_name: str) -> str:
    """Where Label Studio redirects to the file in the cloud, for which it has the credentials."""
    if isinstance(task_id, bool) or not isinstance(task_id, int):
        raise InvalidRequest(
            f"id of a task whose {field_name} is in the cloud must be its number, got {task_id!r:.50}"
        )
    if len(uri) > _LONGEST_CLOUD_URI:
        raise InvalidRequest(f"{field_name} has {len(uri)} characters, the limit is {_LONGEST_CLOUD_URI}")
    return f"/tasks/{task_id}/presign/?fileuri={urlsafe_b64encode(uri.encode(errors='replace')).decode()}"
