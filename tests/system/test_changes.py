"""Changes of the running system: what restarts, what does not, and who notices."""

import copy
import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import ROOT, SAMPLES, RunningSystem
from tests.system.legacy_jobs import answer_of, job
from tests.system.parts import SECOND, valkey_process


def test_a_model_comes_sleeps_wakes_and_goes_without_touching_the_first(
    system: RunningSystem, tmp_path: Path
) -> None:
    before = system.replica_ids()
    block = tmp_path / "second.yaml"
    block.write_text(yaml.safe_dump(SECOND))
    system.launch("add", str(block))

    listed = wait_for(lambda: system.models().get("second"), 10, "the second model in /v1/models")
    wait_for(lambda: system.models()["second"]["state"] == "asleep", 10, "the second model asleep")
    assert listed["labels"] == ["Crab", "Fish"]
    registry = wait_for(
        lambda: "image_queue_second" in registry_of(system) and registry_of(system), 10, "the registry entry"
    )
    assert registry["image_queue_second"]["model"] == "second"
    assert system.replica_ids() == before | {"second": []}, "listing a model must not wake it"

    frame = (SAMPLES / "seafloor-1.png").read_bytes()
    answer = system.http.post("/predictor/", files={"file": frame}, data={"model_type": "second"})
    assert answer.status_code == 200
    assert {row["category_id"] for row in answer.json()["predictions"]} == {"Crab", "Fish"}

    system.launch("remove", "second")
    wait_for(lambda: "second" not in system.models(), 10, "the second model gone from /v1/models")
    wait_for(lambda: "image_queue_second" not in registry_of(system), 10, "the registry entry gone")
    assert system.replica_ids() == before


def registry_of(system: RunningSystem) -> dict[str, Any]:
    entries: Any = system.redis.hgetall("model-registry")
    return {queue.decode(): json.loads(entry) for queue, entry in entries.items()}


def test_changing_a_threshold_restarts_nothing(system: RunningSystem, tmp_path: Path) -> None:
    before = system.replica_ids()
    frame = (SAMPLES / "seafloor-1.png").read_bytes()
    many = len(system.http.post("/predictor/", files={"file": frame}).json()["predictions"])
    document = yaml.safe_load((ROOT / "configs" / "app.yaml").read_text())
    document["applications"][0]["deployments"][0]["user_config"]["score_threshold"] = 0.99
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(document))
    system.launch("deploy", str(changed))

    def few() -> bool:
        return len(system.http.post("/predictor/", files={"file": frame}).json()["predictions"]) < many

    wait_for(few, 20, "the new threshold at work")
    assert system.replica_ids() == before
    system.launch("deploy", "configs/app.yaml")
    wait_for(lambda: not few(), 20, "the old threshold back")
    assert system.replica_ids() == before


@pytest.mark.slow
@pytest.mark.beside_others
def test_a_bridge_killed_with_twenty_jobs_in_flight_loses_none_and_leaves_valkey_running(
    system: RunningSystem, tmp_path: Path
) -> None:
    slow = copy.deepcopy(SECOND)
    slow["name"] = "slow"
    slow["args"] |= {"queues": ["image_queue_slow"], "largest_batch": 1, "parameters": {"delay_ms": 250}}
    slow["deployments"][0]["autoscaling_config"] |= {"min_replicas": 1}
    block = tmp_path / "slow.yaml"
    block.write_text(yaml.safe_dump(slow))
    system.launch("add", str(block))
    valkey = valkey_process(system)
    jobs = [str(uuid.uuid4()) for _ in range(40)]
    texts = [job(SAMPLES / "seafloor-2.png", job_id) for job_id in jobs]
    # Pushed together: the model must not answer them as fast as they are written.
    system.redis.rpush("image_queue_slow", *texts)

    def in_flight() -> int:
        return len(list(system.redis.scan_iter("image_queue_slow:inflight:*")))

    wait_for(lambda: in_flight() >= 20, 20, "20 jobs in flight")
    [replica] = system.replicas()["bridge"]
    os.kill(replica["pid"], signal.SIGKILL)

    answers = [answer_of(system, job_id, 120) for job_id in jobs]
    assert all(isinstance(answer, list) for answer in answers)
    assert valkey.is_running()
    wait_for(lambda: in_flight() == 0, 30, "no job left in a slot")
    system.launch("remove", "slow")
