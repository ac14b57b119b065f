"""Models are found in what the controller says, with a state that tells what they can do for an asker."""

from typing import Any

import pytest

from deployments.catalogue import ModelState, resolve_among
from deployments.client.serve_report import records_from, replicas_from, running_from, unhealthy_from
from deployments.errors import ModelNotFound
from deployments.text.error_text import reason_in


def application(
    status: str = "RUNNING", replicas: tuple[str, ...] = ("RUNNING",), target: int = 1, **args: Any
) -> dict[str, Any]:
    return {
        "status": status,
        "message": "",
        "deployed_app_config": {
            "import_path": "deployments.app:build",
            "args": {"family": "fixed-answer", **args},
            "deployments": [{"name": "Model", "user_config": {"score_threshold": 0.4}}],
        },
        "deployments": {
            "Model": {
                "target_num_replicas": target,
                "message": "Traceback\n  File x\nValueError: no such file: a.pt",
                "replicas": [{"state": state} for state in replicas],
            }
        },
    }


@pytest.mark.parametrize(
    ("status", "replicas", "target", "state"),
    [
        ("RUNNING", ("RUNNING",), 1, ModelState.READY),
        ("RUNNING", (), 0, ModelState.ASLEEP),
        ("RUNNING", ("STARTING",), 1, ModelState.STARTING),
        ("DEPLOYING", (), 1, ModelState.STARTING),
        ("DEPLOYING", ("RUNNING", "STARTING"), 1, ModelState.READY),
        ("DEPLOY_FAILED", (), 1, ModelState.FAILED),
        ("UNHEALTHY", ("STARTING",), 1, ModelState.UNHEALTHY),
        ("DELETING", ("RUNNING",), 1, ModelState.STOPPING),
    ],
)
def test_state(status: str, replicas: tuple[str, ...], target: int, state: ModelState) -> None:
    [record] = records_from({"a": application(status, replicas, target)})
    assert record.state is state
    assert bool(record.reason) is (state not in (ModelState.READY, ModelState.ASLEEP))


def test_a_model_at_zero_replicas_is_described_from_data() -> None:
    [record] = records_from({"sleepy": application(replicas=(), target=0, queues=["q1"], description="Finds fish.")})
    assert (record.name, record.definition.description, record.replicas) == ("sleepy", "Finds fish.", 0)
    assert record.knobs.score_threshold == 0.4
    assert record.can_answer


def test_doors_are_not_models_but_their_reason_is_reported() -> None:
    door = {"status": "RUNNING", "deployed_app_config": {"import_path": "serve_app.app:build"}}
    bridge = {"status": "UNHEALTHY", "message": "it died", "deployed_app_config": {"import_path": "x:build"}}
    applications = {"api": door, "bridge": bridge, "m": application()}
    assert [record.name for record in records_from(applications)] == ["m"]
    assert unhealthy_from(applications) == {"bridge": "it died"}


@pytest.mark.parametrize(
    ("status", "replicas", "runs"),
    [
        ("RUNNING", ("RUNNING",), True),
        ("UNHEALTHY", ("STARTING", "RUNNING"), True),  # the node of the other one has died
        ("UNHEALTHY", ("STARTING",), False),
        ("DEPLOY_FAILED", (), False),
        ("DELETING", ("RUNNING",), False),
    ],
)
def test_an_application_runs_while_one_of_its_replicas_does(
    status: str, replicas: tuple[str, ...], runs: bool
) -> None:
    bridge = {"status": status, "deployments": {"Bridge": {"replicas": [{"state": state} for state in replicas]}}}
    assert running_from({"bridge": bridge}) == (frozenset({"bridge"}) if runs else frozenset())


def test_an_application_that_is_no_model_says_why_it_failed() -> None:
    failed = {"status": "DEPLOY_FAILED", "message": "failed 3 times. Error:\n  File x\nUnsupportedServer: no Cluster"}
    fine = {"status": "HEALTHY", "message": ""}
    application = {
        "status": "DEPLOY_FAILED",
        "message": "Failed to update the deployments ['Bridge'].",
        "deployed_app_config": {"import_path": "redis_bridge.app:build"},
        "deployments": {"Other": fine, "Bridge": failed},
    }
    assert unhealthy_from({"bridge": application}) == {"bridge": "UnsupportedServer: no Cluster"}


def test_an_invalid_definition_is_told_without_the_signature_of_its_weights(caplog: pytest.LogCaptureFixture) -> None:
    assert records_from({"bad": application(familly="x", weights="https://host/a.pt?sig=s3cret")}) == ()
    assert "bad has no valid model definition" in caplog.text
    assert "s3cret" not in caplog.text


def test_an_invalid_definition_hides_only_itself() -> None:
    assert [r.name for r in records_from({"bad": application(familly="x"), "good": application()})] == ["good"]


def test_names_win_over_queues_and_unknown_names_are_refused() -> None:
    records = records_from({"a": application(queues=["b"]), "b": application(queues=["c"])})
    assert resolve_among(records, "b").name == "b"
    assert resolve_among(records, "c").name == "b"
    with pytest.raises(ModelNotFound, match="nothing-here"):
        resolve_among(records, "nothing-here")


def test_the_reason_is_one_line_without_a_traceback() -> None:
    text = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\nValueError: no such file: a.pt'
    assert reason_in(text) == "ValueError: no such file: a.pt"
    assert reason_in("") == ""


def test_the_actors_of_running_replicas_are_known_by_name() -> None:
    model = application(replicas=("RUNNING", "STARTING", "RUNNING"))
    for number, replica in enumerate(model["deployments"]["Model"]["replicas"]):
        replica["actor_name"] = f"SERVE_REPLICA::m#Model#{number}"
    names = ("SERVE_REPLICA::m#Model#0", "SERVE_REPLICA::m#Model#2")
    assert replicas_from({"m": model, "bridge": {"status": "DEPLOYING"}}) == {"m": names, "bridge": ()}
