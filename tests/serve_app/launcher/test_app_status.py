"""What the commands say of applications and of Ray's words."""

from typing import Any

from deployments.text.error_text import cause_in
from serve_app.launcher.app_status import application_states, proxies_are_healthy, table
from tests.serve_app.launcher.fake_dashboard import FAILURE


def test_the_cause_of_a_failure_is_found_in_rays_message() -> None:
    assert cause_in(FAILURE) == "ModelUnavailable: the weights w.npz cannot be read"
    assert cause_in("Waiting for\n  a CPU") == "Waiting for a CPU"
    assert cause_in("") == ""


def test_no_proxy_is_no_healthy_proxy() -> None:
    assert not proxies_are_healthy({"proxies": {}})
    assert not proxies_are_healthy({"proxies": {"a": {"status": "HEALTHY"}, "b": {"status": "STARTING"}}})
    assert proxies_are_healthy({"proxies": {"a": {"status": "HEALTHY"}}})


def test_a_model_without_replicas_that_nobody_asks_is_told_to_be_asleep_and_is_healthy() -> None:
    def running(wanted: int | None, *replicas: str) -> dict[str, Any]:
        deployment = {"target_num_replicas": wanted, "replicas": [{"state": state} for state in replicas]}
        return {"status": "RUNNING", "deployments": {"Model": deployment}}

    states = application_states(
        {
            "applications": {
                "asleep": running(0),
                "awake": running(1, "RUNNING"),
                "waking": running(1, "STARTING"),
                "falling-asleep": running(0, "STOPPING"),
                "older": running(None),
                "failed": {**running(0), "status": "DEPLOY_FAILED"},
            }
        }
    )
    assert [name for name, state in states.items() if state.is_asleep] == ["asleep", "falling-asleep"]
    assert states["asleep"].is_healthy
    lines = table(states.values()).splitlines()
    assert lines[0].split(maxsplit=1) == ["asleep", "ASLEEP        0 running  woken by a request"]
    assert lines[1].split(maxsplit=1) == ["awake", "RUNNING       1 running"]


def test_an_empty_system_has_a_status_line_too() -> None:
    assert table(application_states({}).values()) == "no application is running"
