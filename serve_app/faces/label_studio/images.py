"""The image of a task: in it as a data URI, on the web, or uploaded to Label Studio."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.base64_text import decoded_base64
from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidImage, InvalidRequest
from serve_app.faces.label_studio.projects import Uploads
from serve_app.fetching.fetcher import ImageFetcher

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,20}):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TaskImages:
    """Reads the images of one request. key: of the tasks' data. uploads: None where nobody has said it."""

    fetcher: ImageFetcher
    key: str
    uploads: Uploads | None

    async def image_of(self, data: Mapping[str, Any], held: HeldBytes, ends_at_s: float) -> bytes:
        """The file. Raises InvalidRequest, InvalidImage and what `ImageFetcher.fetch` raises."""
        text = data.get(self.key)
        if not isinstance(text, str) or not text.strip():
            raise InvalidRequest(f"data.{self.key[:50]} must be the image's address, got {str(text)[:50]!r}")
        text = text.strip()
        if text.startswith("/"):
            return await self._uploaded(text, held, ends_at_s)
        scheme = found["scheme"].lower() if (found := _SCHEME.match(text)) else ""
        if scheme == "data":
            held.grow(len(text))
            if not (content := decoded_base64(text, f"data.{self.key[:50]}")):
                raise InvalidImage(f"data.{self.key[:50]} is empty")
            return content
        if scheme in ("http", "https"):
            return await self.fetcher.fetch(text, held, ends_at_s, self.uploads.secret if self.uploads else None)
        raise InvalidRequest(
            f"data.{self.key[:50]} must be http(s)://, a path of Label Studio or a data URI, got {text[:50]!r}; for "
            "cloud storage, turn on pre-signed URLs"
        )

    async def _uploaded(self, path: str, held: HeldBytes, ends_at_s: float) -> bytes:
        if self.uploads is None:
            raise InvalidRequest(
                f"{path[:50]!r} is a file of Label Studio, which has not called /setup for this project since this "
                "server started: open the project's Settings > Model, or send params.hostname and params.access_token"
            )
        host = self.uploads.host
        # Two slashes would name another host.
        address = f"{host.scheme}://{host.authority}/{path.lstrip('/')}"
        return await self.fetcher.fetch(address, held, ends_at_s, self.uploads.secret)
