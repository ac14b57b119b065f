"""The door over real HTTP, and an upload that does not end."""

import asyncio
from pathlib import Path

from starlette.types import ASGIApp

from serve_app.access.guard import Access
from serve_app.api import Entrance, create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem
from tests.serve_app.uploads import picture
from tests.support.raw_http import Answer, answer_from

FORM_TYPE = "Content-Type: multipart/form-data; boundary=xyz"
STALL_S = 0.5
BYTES_PER_S = 1000


def door_of(
    system: FakeSystem, folder: Path, access: Access | None = None, max_upload_bytes: int = 200_000
) -> ASGIApp:
    """The door with little patience."""
    (folder / "frame.png").write_bytes(picture())

    async def metrics_text() -> str:
        return "fathom_requests_total 1\n"

    settings = DoorSettings(
        default_model="benthic-demo",
        deadline_s=5,
        max_upload_bytes=max_upload_bytes,
        max_held_bytes=max_upload_bytes * 2,
        max_held_bytes_per_client=max_upload_bytes * 3 // 2,
        upload_stall_s=STALL_S,
        min_upload_bytes_per_s=BYTES_PER_S,
    )
    models = ModelAccess(system, system.predict, system.ask_external, system.vectors)
    entrance = Entrance(access=access)
    return create_api(models, System(system, metrics_text, folder), settings, CountedAnswers(), entrance)


async def part_of_an_upload(door: int, *pieces: bytes, pause_s: float = 0.0) -> Answer:
    """The answer to an upload of more than it ever sends."""
    head = request("POST", "/predictor/", FORM_TYPE, "Content-Length: 190000")
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    try:
        async with asyncio.timeout(10):
            sending = asyncio.create_task(send_slowly(writer, head, *pieces, pause_s=pause_s))
            answer = await answer_from(reader)
            sending.cancel()
            return answer
    finally:
        writer.close()


def request(method: str, path: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} {path} {version}", "Host: door", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def send_slowly(writer: asyncio.StreamWriter, *pieces: bytes, pause_s: float) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
