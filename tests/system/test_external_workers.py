"""Legacy workers on the same Redis, reached through the HTTP door of the running system."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis

from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem

pytestmark = pytest.mark.beside_others

CORAL = "image_queue_coral"
SAM = "image_queue_sam"
REGISTRY = "model-registry"
FRAME = (SAMPLES / "seafloor-1.png").read_bytes()

Answer = Callable[[dict[str, Any]], bytes]


@contextlib.contextmanager
def worker(system: RunningSystem, queue: str, answer: Answer) -> Iterator[list[dict[str, Any]]]:
    """An old worker in a thread: BLPOP, SET without expiry."""
    is_over = threading.Event()
    taken: list[dict[str, Any]] = []

    def loop() -> None:
        with redis.Redis(port=int(system.environ["FATHOM_REDIS_PORT"])) as store:
            while not is_over.is_set():
                popped = store.blpop([queue], timeout=0.2)
                if popped:
                    job = json.loads(popped[1])
                    taken.append(job)
                    store.set(job["id"], answer(job))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(autouse=True, scope="module")
def _registered(system: RunningSystem) -> Iterator[None]:
    system.redis.hset(REGISTRY, CORAL, '{"model": "coral worker", "description": "corals, by hand"}')
    system.redis.hset(REGISTRY, SAM, '{"model": "segment anything"}')
    wait_for(lambda: {CORAL, SAM} <= system.models().keys(), 30, "the external workers in the list")
    yield
    system.redis.hdel(REGISTRY, CORAL, SAM)
    wait_for(lambda: not {CORAL, SAM} & system.models().keys(), 30, "the external workers to go")
    assert ask(system, "/predictor/", model_type=CORAL).status_code == 404


def ask(system: RunningSystem, path: str, **fields: str) -> httpx.Response:
    return system.http.post(path, files={"file": ("a.png", FRAME, "image/png")}, data=fields)


def nothing_left(system: RunningSystem, job: dict[str, Any]) -> bool:
    return not system.redis.exists(job["id"], job.get("img_key", job["id"]), CORAL, SAM)


def test_a_queue_in_the_registry_is_a_model_of_the_http_door(system: RunningSystem) -> None:
    listed = system.models()[CORAL]
    assert (listed["external"], listed["state"], listed["description"]) == (True, "ready", "corals, by hand")
    text = b'{"bboxes": [[1, 2, 3, 4]],  "confidences": [0.5]}'
    with worker(system, CORAL, lambda job: text) as taken:
        answer = ask(system, "/predictor/", model_type=CORAL)
    assert (answer.status_code, answer.content) == (200, b'{"success":true,"predictions":' + text + b"}")
    assert (taken[0]["height"], taken[0]["width"]) == (540, 960)
    wait_for(lambda: nothing_left(system, taken[0]), what="the job's keys to go")


def test_the_segmenting_routes_reach_the_worker(system: RunningSystem) -> None:
    masks = {"box": [{"w": 900, "h": 500}], "score": [0.95], "poly": [[[10, 10], [900, 10], [900, 500], [10, 500]]]}
    with worker(system, SAM, lambda job: json.dumps([masks]).encode()) as taken:
        best = ask(system, "/model/v1/sam_v2/", data='[{"x": 1, "y": 2}]')
        cut_out = ask(system, "/filet_predictor/", model_type="image_queue_yolov5")
    assert best.json() == {
        "success": True,
        "predictions": [{"box": masks["box"][0], "score": [0.95], "poly": masks["poly"][0]}],
    }
    assert cut_out.status_code == 200, cut_out.text
    assert [row["category_id"] for row in cut_out.json()["predictions"]]
    assert [list(job) for job in taken] == [
        ["id", "img_key", "prompts"],
        ["id", "image", "height", "width", "prompts"],
    ]
    wait_for(lambda: nothing_left(system, taken[0]), what="the job's keys to go")


@pytest.mark.parametrize("size_mib", [4, 16])
def test_an_answer_of_any_size_comes_back_for_a_small_image(system: RunningSystem, size_mib: int) -> None:
    embedding = bytes(range(256)) * (size_mib * 2**12)
    with worker(system, SAM, lambda job: embedding) as taken:
        answer = ask(system, "/sam-embed/")
    assert answer.status_code == 200, answer.text[:500]
    assert answer.content == embedding
    wait_for(lambda: nothing_left(system, taken[0]), what="the job's keys to go")


def test_a_client_that_leaves_takes_its_job_along(system: RunningSystem) -> None:
    with pytest.raises(httpx.ReadTimeout):
        system.http.post("/predictor/", files={"file": ("a.png", FRAME)}, data={"model_type": CORAL}, timeout=2)
    wait_for(lambda: not system.redis.exists(CORAL), what="the job to leave the queue")
