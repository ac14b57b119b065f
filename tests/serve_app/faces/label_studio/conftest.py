"""A door that may fetch from a Label Studio on this machine."""

from collections.abc import AsyncIterator

import pytest

from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, reply


@pytest.fixture
async def host() -> AsyncIterator[ImageHost]:
    async with image_host() as served:
        served.answers |= {"/data/upload/1/frame.png": reply(picture()), "/frame.png": reply(picture())}
        yield served


@pytest.fixture
def settings(host: ImageHost) -> DoorSettings:
    return DoorSettings(
        deadline_s=5,
        fetch_timeout_s=1,
        max_upload_bytes=1_000_000,
        fetch_hosts=(f"127.0.0.1:{host.port} private",),
        faces=KNOWN_FACES,
    )
