"""Why a model does not load is told from its first failed try on, whatever Ray Serve says afterwards."""

from typing import Any

import pytest

from deployments.catalogue import ModelRecord, ModelState
from deployments.client.last_failures import LastFailures
from deployments.client.serve_report import Surroundings, records_from, unhealthy_from
from deployments.weights.settings import WeightsSettings

CAUSE = "a.pt is not a checkpoint"
FAILED_ONCE = f"""A replica failed to start with exception. Retrying 2 more time(s). Error:
  File "x.py", line 1, in f
deployments.errors.ModelUnavailable: {CAUSE}
"""
SLOW = (
    "Deployment 'Model' in application 'm' has 1 replicas that have taken more than 30s to initialize.\n"
    "This may be caused by a slow __init__ or reconfigure method."
)


def report(message: str, status: str = "DEPLOYING", target: int = 1, **args: Any) -> dict[str, Any]:
    is_running = status == "RUNNING" and target > 0
    deployment = {
        "message": message,
        "target_num_replicas": target,
        "replicas": [{"state": "RUNNING" if is_running else "STARTING"}] * target,
    }
    config = {"import_path": "deployments.app:build", "args": {"family": "yolov5", **args}}
    return {"m": {"status": status, "deployed_app_config": config, "deployments": {"Model": deployment}}}


class Watch:
    """Looks at one report after the other, as the catalogue does."""

    def __init__(self, weights: WeightsSettings | None = None) -> None:
        self._weights = weights or WeightsSettings()
        self._failures = LastFailures()

    def see(self, applications: dict[str, Any]) -> ModelRecord:
        failures = self._failures.note(applications)
        [record] = records_from(applications, Surroundings(self._weights, failures=failures))
        return record


def test_the_first_failed_try_is_told_while_serve_tries_again() -> None:
    record = Watch().see(report(FAILED_ONCE))
    assert record.state is ModelState.STARTING
    assert record.reason == f"the last try to load it failed, and it is tried again: {CAUSE}"
    assert str(record.unavailable()) == f"model m is starting: {record.reason}"


def test_weights_that_are_not_there_do_not_hide_why_they_could_not_be_had() -> None:
    record = Watch().see(report(FAILED_ONCE, weights="hf://owner/model/never-fetched.pt"))
    assert record.reason == f"the last try to load it failed, and it is tried again: {CAUSE}"


@pytest.mark.parametrize("later", [SLOW, "Upscaling from 0 to 1 replicas.", ""])
def test_what_serve_says_later_does_not_hide_it(later: str) -> None:
    watch = Watch()
    watch.see(report(FAILED_ONCE))
    assert CAUSE in watch.see(report(later)).reason


def test_a_model_that_went_back_to_sleep_may_be_woken_and_says_why_it_did_not_wake() -> None:
    watch = Watch()
    watch.see(report(FAILED_ONCE))
    record = watch.see(report("Downscaling from 1 to 0 replicas.", "RUNNING", target=0))
    assert (record.state, record.can_answer, record.reason) == (ModelState.ASLEEP, True, "")
    assert str(record.why_unanswered()) == f"model m is asleep: the last try to load it failed: {CAUSE}"


@pytest.mark.parametrize(
    "news",
    [report("", "RUNNING"), report(SLOW, revision="corrected"), {}],
    ids=["a replica runs", "another configuration", "the model is gone"],
)
def test_it_is_forgotten_when_it_is_over(news: dict[str, Any]) -> None:
    failures = LastFailures()
    assert failures.note(report(FAILED_ONCE)) == {"m": CAUSE}
    assert failures.note(news) == {}
    assert failures.note(report(SLOW)) == {}


def test_a_door_that_is_tried_again_says_why_too() -> None:
    door = report("A replica failed to start. Error:\n  File x\nUnsupportedServer: no Cluster")
    door["m"]["deployed_app_config"]["import_path"] = "redis_bridge.app:build"
    assert unhealthy_from(door) == {"m": "UnsupportedServer: no Cluster"}
