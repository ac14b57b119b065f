"""Models of the zoo in the running system: cold, unavailable, woken through both doors, and away again."""

import copy
import shutil
import time
from pathlib import Path
from typing import Any

import PIL.Image
import psutil
import pytest
import yaml

from deployments.weights.catalogue import CATALOGUE_FILE, read_document
from tests.support.fixtures import fixture_file
from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem
from tests.system.legacy_jobs import answer_of, job

pytestmark = pytest.mark.beside_others

MODEL = "mbari-midwater-supercategory"
CACHED = Path("hf/FathomNet/MBARI-midwater-supercategory-detector/main/best.pt")
DEADLINE_S = 25.0


def block(num_gpus: float, **args: Any) -> dict[str, Any]:
    """The model's block in the zoo, soon asleep again and quickly compiled."""
    zoo = {one["name"]: one for one in read_document(CATALOGUE_FILE)["applications"]}
    found = copy.deepcopy(zoo[MODEL])
    found["args"] |= {"largest_batch": 1, "canvas_px": [320, 320], **args}
    [replica] = found["deployments"]
    replica["autoscaling_config"] |= {"downscale_delay_s": 1, "look_back_period_s": 11}
    replica["ray_actor_options"] = {"num_cpus": 0.25, "num_gpus": num_gpus}
    return found


def add(system: RunningSystem, folder: Path, document: dict[str, Any]) -> None:
    path = folder / f"{document['name']}.yaml"
    path.write_text(yaml.safe_dump(document))
    system.launch("add", str(path))
    wait_for(lambda: document["name"] in system.models(), 20, "the model in /v1/models")


def model(system: RunningSystem) -> dict[str, Any]:
    return system.models()[MODEL]


def asleep(system: RunningSystem) -> dict[str, Any]:
    """The model's entry as soon as it sleeps."""
    wait_for(lambda: model(system)["state"] == "asleep", 90, "the model asleep")
    return model(system)


def ask(system: RunningSystem, street: Path, name: str = MODEL) -> Any:
    return system.http.post("/predictor/", files={"file": street.read_bytes()}, data={"model_type": name})


@pytest.mark.slow
def test_a_model_whose_gpu_is_not_there_stays_asleep_and_says_why_at_once(
    system: RunningSystem, tmp_path: Path
) -> None:
    add(system, tmp_path, block(num_gpus=64))
    try:
        entry = asleep(system)
        assert entry["reason"].startswith("needs 64 GPU")
        started_s = time.monotonic()
        answer = ask(system, fixture_file("images/bus.jpg"))
        assert time.monotonic() - started_s < DEADLINE_S / 2
        assert answer.status_code == 503
        assert "needs 64 GPU" in answer.json()["detail"]
        # A legacy job waits in its queue, where it is seen, and wakes nobody.
        queue = entry["queues"][0]
        system.redis.rpush(queue, b"{}")
        assert model(system)["replicas"] == 0
        assert system.redis.llen(queue) == 1
        system.redis.delete(queue)
    finally:
        system.launch("remove", MODEL)


@pytest.mark.scaling
@pytest.mark.timeout(400)
def test_a_cold_model_is_woken_by_a_request_and_by_a_job_and_sleeps_again(
    system: RunningSystem, tmp_path: Path
) -> None:
    street = fixture_file("images/bus.jpg")
    weights = fixture_file("weights/yolov5n.pt")
    add(system, tmp_path, block(num_gpus=0))
    try:
        cold = asleep(system)
        assert (cold["replicas"], cold["labels"], cold["reason"]) == (0, None, "")

        # Its weights cannot be fetched: the asker is told so within the deadline, and no other model suffers.
        started_s = time.monotonic()
        answer = ask(system, street)
        assert time.monotonic() - started_s < DEADLINE_S + 5
        assert (answer.status_code, "best.pt" in answer.json()["detail"]) == (503, True), answer.text
        assert ask(system, street, "benthic-demo").status_code == 200

        # They are copied into the cache. Nothing restarts, and the next request finds them.
        target = Path(system.environ["FATHOM_WEIGHTS_DIR"]) / CACHED
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights, target)
        asleep(system)
        answer = wait_for(lambda: answered(system, street), 90, "an answer")
        by_http = [row["category_id"] for row in answer["predictions"]]
        assert by_http.count("person") >= 3
        assert by_http.count("bus") == 1
        pid = replica_pid(system)

        assert len(asleep(system)["labels"]) == 80, "what the first load found is known ever after"
        wait_for(lambda: not psutil.pid_exists(pid), 30, "the replica's process gone")

        frame = tmp_path / "street.png"
        PIL.Image.open(street).save(frame)
        system.redis.rpush(cold["queues"][0], job(frame, "woken"))
        assert [row["category_id"] for row in answer_of(system, "woken", 90)] == by_http
        pid = replica_pid(system)
        asleep(system)
        wait_for(lambda: not psutil.pid_exists(pid), 30, "the replica's process gone")
    finally:
        system.launch("remove", MODEL)


def answered(system: RunningSystem, street: Path) -> dict[str, Any] | None:
    """The answer, once the model has woken within the deadline of a request."""
    answer = ask(system, street)
    if answer.status_code != 200:
        assert answer.status_code in (503, 504), answer.text
        return None
    body: dict[str, Any] = answer.json()
    return body


def replica_pid(system: RunningSystem) -> int:
    [replica] = system.replicas()[MODEL]
    pid: int = replica["pid"]
    return pid
