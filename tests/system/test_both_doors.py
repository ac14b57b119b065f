"""From a frame to detections, through both doors, as legacy clients and new ones do it."""

import io
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.support.waiting import wait_for
from tests.system.conftest import ROOT, SAMPLES, RunningSystem
from tests.system.legacy_jobs import answer_of, job

pytestmark = pytest.mark.beside_others

SAMPLE_NAMES = sorted(path.name for path in SAMPLES.glob("*.png"))
QUEUES = ("image_queue_yolov5", "image_queue_detectron2")


def iou(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def assert_finds(predictions: list[dict[str, Any]], objects: list[dict[str, Any]]) -> None:
    """Nearly all drawn objects that are not tiny are found, under their name, where they were drawn."""
    wanted = [drawn for drawn in objects if not drawn["small"]]
    found = [
        drawn
        for drawn in wanted
        if any(
            prediction["category_id"] == drawn["label"] and iou(prediction["bbox"], drawn["bbox"]) >= 0.5
            for prediction in predictions
        )
    ]
    assert len(found) >= 0.75 * len(wanted), [drawn for drawn in wanted if drawn not in found]


@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_both_doors_find_what_was_drawn_and_agree(
    system: RunningSystem, truth: dict[str, list[dict[str, Any]]], name: str
) -> None:
    frame = SAMPLES / name
    answer = system.http.post("/predictor/", files={"file": (name, frame.read_bytes(), "image/png")})
    assert answer.status_code == 200, answer.text
    by_http = answer.json()["predictions"]
    assert_finds(by_http, truth[name])

    job_id = str(uuid.uuid4())
    system.redis.rpush("image_queue_yolov5", job(frame, job_id))
    by_redis = answer_of(system, job_id)
    assert [row["category_id"] for row in by_redis] == [row["category_id"] for row in by_http]
    np.testing.assert_allclose([row["bbox"] for row in by_redis], [row["bbox"] for row in by_http], rtol=0, atol=0.05)


def curl(system: RunningSystem, *arguments: str) -> str:
    done = subprocess.run(["curl", "-sk", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_commands_from_the_notes_of_legacy_users(system: RunningSystem, legacy_frame: Path) -> None:
    root = str(system.http.base_url).rstrip("/")
    assert "<html" in curl(system, f"{root}/").lower()
    for frame in (SAMPLES / SAMPLE_NAMES[0], legacy_frame):
        text = curl(
            system, "-X", "POST", f"{root}/predictor/",
            "-H", "accept: application/json", "-H", "Content-Type: multipart/form-data",
            "-F", f"file=@{frame};type=image/png",
        )  # fmt: skip
        body = json.loads(text)
        assert body["success"] is True
        assert isinstance(body["predictions"], list)


@pytest.mark.parametrize("queue", QUEUES)
def test_fifty_requests_of_the_legacy_stress_script(system: RunningSystem, queue: str) -> None:
    frame = (SAMPLES / SAMPLE_NAMES[0]).read_bytes()
    statuses: list[int] = []

    def post() -> None:
        form = {"file": ("file", frame, "image/png"), "model_type": (None, queue)}
        answer = system.http.post("/predictor/", files=form)  # type: ignore[arg-type]
        statuses.append(answer.status_code if answer.json()["success"] else 0)

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)  # the script's own pace, and not a wait for something
    for thread in threads:
        thread.join(120)
    assert statuses == [200] * 50


def test_the_ten_line_script_of_the_documentation(system: RunningSystem) -> None:
    text = (ROOT / "README.md").read_text()
    script = text.split("```python\n", 1)[1].split("```", 1)[0]
    assert "redis.Redis(port=6379)" in script
    script = script.replace("port=6379", f"port={system.environ['FATHOM_REDIS_PORT']}")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=90, check=False, env=system.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "category_id" in done.stdout


def test_a_malformed_job_is_answered_and_does_not_stop_the_queue(system: RunningSystem) -> None:
    bad, good = str(uuid.uuid4()), str(uuid.uuid4())
    system.redis.rpush("image_queue_yolov5", b"not json")
    system.redis.rpush("image_queue_yolov5", json.dumps({"id": bad, "image": "AAAA", "height": 9, "width": 9}))
    system.redis.rpush("image_queue_yolov5", job(SAMPLES / SAMPLE_NAMES[0], good))
    assert isinstance(answer_of(system, good), list)
    error = answer_of(system, bad)
    assert set(error) == {"error"}
    assert "image" in error["error"]["message"]


def test_overload_and_bad_uploads_are_problems(system: RunningSystem) -> None:
    answer = system.http.post("/predictor/", files={"file": b"no picture"})
    assert answer.status_code == 422
    assert answer.json()["predictions"] is None
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 64)).save(buffer, "PNG")
    answer = system.http.post("/predictor/", files={"file": buffer.getvalue()}, data={"model_type": "nobody"})
    assert answer.status_code == 404
    assert system.http.post("/model/v1/predictor", files={"file": buffer.getvalue()}).status_code == 200


def test_health_and_metrics(system: RunningSystem) -> None:
    assert system.http.get("/health/live").status_code == 200
    assert system.http.get("/health/ready").json()["status"] == "ready"
    wait_for(lambda: "fathom_requests_total{" in system.http.get("/metrics").text, 30, "the model's metrics")


def test_the_http_door_knows_how_many_jobs_wait_in_redis(system: RunningSystem) -> None:
    def waiting() -> dict[str, int]:
        queues = system.http.get("/v1/system").json()["redis"]["queues"]
        return {one["queue"]: one["waiting"] for one in queues or ()}

    wait_for(lambda: all(waiting().get(queue) == 0 for queue in QUEUES), 30, "empty queues")
