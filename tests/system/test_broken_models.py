"""A model that hangs is replaced by Ray Serve, and who waits for it hears of it in time."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

HANGING: dict[str, Any] = {
    "name": "hanging",
    "import_path": "deployments.app:build",
    "route_prefix": None,
    "args": {"family": "fixed-answer", "parameters": {"delay_ms": 600_000}},
    "deployments": [
        {
            "name": "Model",
            "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
            "max_ongoing_requests": 64,
            "ray_actor_options": {"num_cpus": 0.1},
            "user_config": {"stuck_after_s": 1},
        }
    ],
}


@pytest.mark.timeout(300)
def test_a_model_that_hangs_is_replaced(system: RunningSystem, tmp_path: Path) -> None:
    block = tmp_path / "hanging.yaml"
    block.write_text(yaml.safe_dump(HANGING))
    system.launch("add", str(block))
    wait_for(lambda: system.models().get("hanging", {}).get("state") == "ready", 60, "the model")
    [first] = system.replica_ids()["hanging"]
    others = system.replica_ids()

    frame = (SAMPLES / "seafloor-1.png").read_bytes()
    answer = system.http.post("/predictor/", files={"file": frame}, data={"model_type": "hanging"})
    assert answer.status_code == 500, answer.text
    assert "did not finish" in answer.text

    def only_another() -> bool:
        # In any state: what is stuck must not keep the old replica from stopping either.
        deployments = system.applications()["hanging"]["deployments"].values()
        replicas = [replica for deployment in deployments for replica in deployment["replicas"]]
        return [replica["state"] for replica in replicas] == ["RUNNING"] and replicas[0]["replica_id"] != first

    wait_for(only_another, 45, "another replica in the place of the one that hangs")
    assert {name: ids for name, ids in system.replica_ids().items() if name != "hanging"} == {
        name: ids for name, ids in others.items() if name != "hanging"
    }
    system.launch("remove", "hanging")
    wait_for(lambda: "hanging" not in system.models(), 30, "the model gone")
