"""The Redis users against a real Valkey and a worker that answers as told."""

import base64
import json
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import redis
from PIL import Image

from deployments.families.demo import SAMPLES_FOLDER
from redis_bridge.server.valkey_process import ValkeyProcess, ValkeySettings
from tests.loadtests.load_run import run_users

QUEUE = "image_queue_detectron2"
DETECTION = {"category_id": "Sea star", "scores": [0.9], "bbox": [1, 2, 30, 40]}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = ValkeyProcess(ValkeySettings(port, tmp_path_factory.mktemp("valkey")))
    process.start()
    yield process.address
    process.stop()


class Worker:
    """Takes jobs from the queue and writes `answer` under their ids, until it is stopped."""

    def __init__(self, address: str, answer: object) -> None:
        self.jobs: list[bytes] = []
        self._answer = json.dumps(answer)
        self._connection = redis.Redis.from_url(address)
        self._connection.flushall()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "Worker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while not self._is_stopping.is_set():
            if taken := self._connection.blpop([QUEUE], timeout=0.2):
                self.jobs.append(taken[1])  # type: ignore[arg-type]  # bytes: nothing is decoded
                self._connection.set(json.loads(taken[1])["id"], self._answer)


def test_jobs_are_pushed_as_legacy_producers_do_and_answers_fetched(address: str) -> None:
    with Worker(address, [DETECTION]) as worker, redis.Redis.from_url(address) as connection:
        run = run_users("redis_users.py", address, pause_s="0.05")
        assert run.exit_code == 0, run.log
        assert run.asked >= 2
        assert run.failed == 0
        assert connection.dbsize() == 0
    pictures = [np.asarray(Image.open(path))[:, :, ::-1].tobytes() for path in sorted(SAMPLES_FOLDER.glob("*.png"))]
    job = json.loads(worker.jobs[0])
    assert list(job) == ["id", "image", "height", "width"]
    pixels = np.frombuffer(base64.b64decode(job["image"]), np.float32)
    assert pixels.size == job["height"] * job["width"] * 3
    assert pixels.astype(np.uint8).tobytes() in pictures
    assert len({json.loads(text)["id"] for text in worker.jobs}) == len(worker.jobs)


def test_a_missing_answer_is_a_failure_after_the_patience(address: str) -> None:
    run = run_users("redis_users.py", address, model="image_queue_of_nobody", patience_s="0.3")
    assert run.exit_code == 1
    assert run.failed == run.asked > 0
    assert "no answer within 0.3 s" in run.log
