"""The client and the repository's own HTTP door understand each other."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fathom_client import AsyncClient, InvalidImage, InvalidRequest, ModelNotFound, Retry
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.real_door import door_of
from tests.serve_app.uploads import picture


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    system = FakeSystem([record("benthic-demo", queues=["image_queue_yolov5"], required=True, licence="CC-BY-4.0")])
    transport = httpx.ASGITransport(door_of(system, tmp_path), raise_app_exceptions=False)
    async with AsyncClient("http://door", retry=Retry(attempts=1), transport=transport) as one:
        yield one
    if system.replica is not None:
        await system.replica.close()


async def test_the_door_tells_of_its_models_and_its_health(client: AsyncClient) -> None:
    [model] = await client.models()
    assert (model.name, model.state, model.is_default) == ("benthic-demo", "ready", True)
    assert (await client.model("image_queue_yolov5")).name == "benthic-demo"
    assert await client.ready()
    with pytest.raises(ModelNotFound):
        await client.model("gone")


async def test_the_door_answers_what_the_client_asks(client: AsyncClient, tmp_path: Path) -> None:
    frame = tmp_path / "frame.png"
    frame.write_bytes(picture((100, 50)))
    prediction = await client.predict(frame, "image_queue_yolov5", score_threshold=0.0, tiling="off")
    assert (prediction.model, prediction.revision, prediction.name) == ("benthic-demo", "1", "frame.png")
    assert (prediction.width, prediction.height, prediction.licence) == (100, 50, "CC-BY-4.0")
    best = prediction.detections[0]
    assert best.label
    assert 0 <= best.box.x1 < best.box.x2 <= 100
    assert prediction.timings is not None
    assert prediction.timings.batch_size == 1
    many = [one.detections[0].box async for one in client.predict_many([frame] * 3, "benthic-demo")]
    assert many == [best.box] * 3
    with pytest.raises(InvalidImage):
        await client.predict(b"no image", "benthic-demo")
    with pytest.raises(InvalidRequest, match="score_threshold"):
        await client.predict(frame, "benthic-demo", score_treshold=0.5)  # type: ignore[call-arg]
    with pytest.raises(InvalidRequest, match="format"):
        await client.export([frame], "benthic-demo", "cocco")
    with pytest.raises(ModelNotFound):
        await client.predict(frame, "gone")
