"""Forms with one image, as clients of several tools send them, and hostile ones, which every face refuses alike."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.serve_app.uploads import picture

FILE = {"file": ("image.jpg", picture(), "image/jpeg")}

HOSTILE: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "must be multipart/form-data"),
    ({"content": picture()}, 422, "must be multipart/form-data"),
    ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "is malformed"),
    ({"content": b"garbage", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "cut off"),
    ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "cut off"),
    ({"files": {"image": ("a.jpg", picture())}}, 422, "the image goes into the part 'file'"),
    ({"files": {"file": ("a.jpg", b"")}}, 422, "the part 'file' is empty"),
    ({"files": {"file": ("a.jpg", b"no picture")}}, 422, "not an image of a known format"),
    ({"files": {"file": ("a.jpg", picture()[:60])}}, 422, "image"),
    ({"files": [("file", ("a.jpg", picture())), ("file", ("b.jpg", picture()))]}, 422, "two parts named 'file'"),
    ({"files": FILE, "data": {"modle": "other"}}, 422, "unknown field 'modle'"),
    ({"files": FILE, "params": {"modle": "other"}}, 422, "unknown query parameter 'modle'"),
    ({"files": {"file": ("a.jpg", b"x" * 200_001)}}, 413, "the limit is 200000"),
    ({"files": FILE, "headers": {"content-encoding": "gzip"}}, 415, "without compression"),
    (
        {"files": [("file", ("a.jpg", picture())), *[(f"f{n}", (None, b"1")) for n in range(40)]]},
        422,
        "unknown field 'f0'",
    ),
]
"""What is sent, the status of the answer, and words of its detail."""


async def refused_alike(
    client: httpx.AsyncClient, path: str, message_in: Callable[[httpx.Response, int], str]
) -> int:
    """How many hostile forms were refused at `path`, each in the face's own form. message_in: finds it there."""
    for sent, status, words in HOSTILE:
        message = message_in(await client.post(path, **sent), status)
        assert words in message, (sent, message)
        assert len(message) < 500
    return len(HOSTILE)
