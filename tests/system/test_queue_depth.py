"""A model that sleeps is woken by a job and grows with the queue behind it, which Ray Serve itself cannot see."""

import json
import uuid
from pathlib import Path

import pytest
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem
from tests.system.small_jobs import job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

QUEUE = "image_queue_slow"
JOBS = 600

BLOCK = {
    "name": "slow",
    "import_path": "deployments.app:build",
    "route_prefix": None,
    "args": {
        "family": "fixed-answer",
        "queues": [QUEUE],
        "largest_batch": 1,
        "parameters": {"delay_ms": 150},
    },
    "deployments": [
        {
            "name": "Model",
            "max_ongoing_requests": 64,
            "autoscaling_config": {
                "min_replicas": 0,
                "max_replicas": 2,
                # More than the bridge ever has in flight: only what waits behind can ask for a second replica.
                "target_ongoing_requests": 64,
                "upscale_delay_s": 1,
                "look_back_period_s": 11,
                "policy": {"policy_function": "deployments.autoscaling:images_in_work"},
            },
            "ray_actor_options": {"num_cpus": 0.1},
        }
    ],
}


@pytest.fixture
def slow(system: RunningSystem, tmp_path: Path) -> None:
    block = tmp_path / "slow.yaml"
    block.write_text(yaml.safe_dump(BLOCK))
    system.launch("add", str(block))
    wait_for(lambda: system.models().get("slow", {}).get("state") == "asleep", 60, "the model to be asleep")


@pytest.mark.usefixtures("slow")
@pytest.mark.timeout(240)
def test_jobs_in_redis_scale_a_model_from_zero(system: RunningSystem) -> None:
    ids = [str(uuid.uuid4()) for _ in range(JOBS)]
    system.redis.rpush(QUEUE, *map(job, ids))
    wait_for(lambda: len(system.replicas()["slow"]) == 2, 90, "a second replica")
    wait_for(lambda: system.redis.exists(*ids) == JOBS, 120, "all answers")
    assert "error" not in json.loads(system.redis.get(ids[-1]))
    system.redis.delete(*ids)
    system.launch("remove", "slow")
