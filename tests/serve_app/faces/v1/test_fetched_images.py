"""Images that are given to `/v1` as addresses."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, redirect, reply

PATH = "/v1/models/benthic-demo/predict"


@pytest.fixture
async def host() -> AsyncIterator[ImageHost]:
    async with image_host() as served:
        served.answers["/dive%207/frame%2012.png?size=full"] = reply(picture())
        yield served


@pytest.fixture
def settings(host: ImageHost) -> DoorSettings:
    return DoorSettings(
        deadline_s=5, fetch_timeout_s=1, max_upload_bytes=50_000, fetch_hosts=(f"127.0.0.1:{host.port} private",)
    )


async def says_nothing(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.Event().wait()


async def test_an_address_is_as_good_as_the_image(
    client: httpx.AsyncClient, host: ImageHost, system: FakeSystem
) -> None:
    url = f"{host.url}/dive 7/frame 12.png?size=full"
    answer = await client.post(PATH, json={"images": [url, base64_of(picture()), f" {url}"], "max_detections": 1})
    assert answer.status_code == 200, answer.text
    images = answer.json()["images"]
    assert [image["name"] for image in images] == ["frame 12.png", None, "frame 12.png"]
    assert all(image["detections"] == images[1]["detections"] for image in images)
    assert {request.image.nbytes for _, request in system.asked} == {len(picture())}
    assert all(0 < request.deadline_s < 5 for _, request in system.asked)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/missing", 422, "image 2: 127.0.0.1:PORT answered 404 and no image"),
        ("/away", 422, "image 2: http://169.254.169.254 is not among the hosts"),
        ("/large", 413, "image 2: 127.0.0.1:PORT sends 60000 bytes or more, the limit is 50000"),
        ("/silent", 504, "image 2: 127.0.0.1:PORT did not send the image in time"),
    ],
)
async def test_what_cannot_be_fetched_is_told_and_nothing_is_asked(
    path: str, status: int, reason: str, client: httpx.AsyncClient, host: ImageHost, system: FakeSystem
) -> None:
    host.answers |= {
        "/away": redirect("http://169.254.169.254/"),
        "/large": reply(b"a" * 60_000),
        "/silent": says_nothing,
    }
    answer = await client.post(PATH, json={"images": [base64_of(picture()), host.url + path]})
    assert answer.status_code == status, answer.text
    assert reason.replace("PORT", str(host.port)) in answer.json()["detail"]
    assert system.asked == []


async def test_a_wrong_request_fetches_nothing(client: httpx.AsyncClient, host: ImageHost) -> None:
    url = f"{host.url}/dive 7/frame 12.png?size=full"
    for path, body in ((PATH, {"image": url, "iou_treshold": 1}), ("/v1/models/unknown/predict", {"image": url})):
        assert (await client.post(path, json=body)).status_code in (404, 422)
    assert host.asked == []


@pytest.mark.parametrize(
    "url", ["s3://bucket/a.jpg", "file:///etc/passwd", "http://localhost/a", "http://2130706433/"]
)
async def test_other_addresses_are_refused(url: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json={"image": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
