"""Clients of fastapi-vss through HAProxy, two doors, a vision transformer, the bridge and the embedded Valkey."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
import websockets
import yaml

from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, RunningSystem, environment_for, running_system
from tests.system.launched import document, model, redis_door

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

FOLDER = Path(__file__).parents[1] / "deployments" / "families" / "golden" / "huggingface" / "vit-sharded"
PROJECT = "testproject"
ADMIN = new_key()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    folder = tmp_path_factory.mktemp("vectors")
    keys = folder / "keys.toml"
    keys.write_text(entry_text(Key(name="lab", sha256=digest_of(ADMIN).hex(), scopes=frozenset({Scope.ADMIN}))))
    keys.chmod(0o600)
    environ = environment_for(folder) | {"FATHOM_API_KEYS_FILE": str(keys), "FATHOM_FACES": "vss"}
    vit = model("vit", family="huggingface", weights=str(FOLDER), parameters={"answer": "embedding"})
    blocks = document(int(environ["FATHOM_HTTP_PORT"]), vit)
    blocks["applications"][-1]["deployments"] = [{"name": "Door", "num_replicas": 2}]
    blocks["applications"] += redis_door(int(environ["FATHOM_REDIS_PORT"]))
    config = folder / "system.yaml"
    config.write_text(yaml.safe_dump(blocks))
    with running_system(folder, config, environ) as running:
        wait_for(lambda: len(running.processes("api")) == 2, START_S, "two doors")
        running.http.headers["X-API-Key"] = ADMIN
        wait_for(lambda: running.http.get("/vss/projects").status_code == 200, START_S, "the vectors")
        yield running


def crops() -> list[bytes]:
    """Parts of a frame, each different."""
    frame = PIL.Image.open(SAMPLES / "seafloor-1.png").convert("RGB")
    found = []
    for number in range(8):
        buffer = io.BytesIO()
        frame.crop((number * 60, number * 20, number * 60 + 120, number * 20 + 90)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def files(contents: list[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"crop-{number}.png", content)) for number, content in enumerate(contents)]


def body_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def result_of(system: RunningSystem, submitted: httpx.Response, project: str) -> Any:
    """Asked for several times, so that both doors are."""
    job = body_of(submitted)["job_id"]
    told = [body_of(system.http.get(f"/vss/predict/job/{job}/{project}")) for _ in range(6)]
    assert all(one == told[0] for one in told)
    assert told[0]["status"] == "done", told[0]
    return told[0]["result"]


def test_each_labelled_image_is_nearest_to_itself(system: RunningSystem) -> None:
    images = crops()
    sent = {"files": files(images), "data": {"label": "seafloor", "model": "vit"}}
    assert body_of(system.http.post(f"/vss/vectors/{PROJECT}", **sent))["count"] == len(images)
    found = result_of(system, system.http.post(f"/vss/knn/3/{PROJECT}", files=files(images)), PROJECT)
    assert [ids[0] for ids in found["ids"]] == [f"crop-{number}" for number in range(len(images))]
    assert [scores[0] for scores in found["scores"]] == pytest.approx([0.0] * len(images), abs=1e-4)
    assert all(scores == sorted(scores) and len(scores) == 3 for scores in found["scores"])
    assert body_of(system.http.get("/vss/projects")) == {"projects": [PROJECT, "vit"]}


def test_the_embedding_is_that_of_v1_and_the_websocket_tells_it(system: RunningSystem) -> None:
    image = crops()[0]
    submitted = system.http.post("/vss/embed/vit", files=files([image]))
    found = result_of(system, submitted, "vit")["embeddings"]
    v1 = body_of(system.http.post("/v1/models/vit/predict", files={"image": ("a.png", image)}))
    assert found[0] == pytest.approx(v1["images"][0]["embedding"], abs=1e-5)
    assert np.linalg.norm(found[0]) > 0
    address = system.http.base_url
    url = f"ws://lab:{ADMIN}@{address.host}:{address.port}/vss/ws/predict/job/{submitted.json()['job_id']}/vit"
    assert asyncio.run(messages(url)) == [{"status": "done", "result": result_of(system, submitted, "vit")}]


async def messages(url: str) -> list[Any]:
    async with asyncio.timeout(30):
        async with websockets.connect(url, proxy=None) as socket:
            return [json.loads(text) async for text in socket]
