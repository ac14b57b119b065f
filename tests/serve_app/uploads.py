"""An image to upload, and the problem in an answer."""

import io
from typing import Any

import httpx
import PIL.Image


def picture(size_px: tuple[int, int] = (100, 50), file_format: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new(mode, size_px).save(buffer, file_format)
    return buffer.getvalue()


async def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["success"], body["predictions"], body["status"]) == (False, None, status)
    assert "Traceback" not in answer.text
    return body
