"""What the door's program does with a stranger's block: the same as the command, and less than the command takes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.launcher import commands
from serve_app.launcher.door_change import answer
from tests.serve_app.launcher.blocks import API, model_block, put
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving

NOTED = {"key": "ada", "client": "10.0.0.9", "request": "r-1"}
DEPLOYMENT = "deployments.0"


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard()) as running:
        running.run(model_block("first", queues=["q1"], required=True), model_block("other"), API)
        running.open_door()
        yield running


@pytest.fixture
def environ(dashboard: FakeDashboard, tmp_path: Path) -> dict[str, str]:
    return {
        "FATHOM_DASHBOARD_PORT": dashboard.url.rsplit(":", 1)[1],
        "FATHOM_DATA_DIR": str(tmp_path / "data"),
        "RAY_AUTH_MODE": "disabled",
        "FATHOM_START_PATIENCE_S": "5",
    }


def add(sent: Any, environ: dict[str, str], is_json: bool = False) -> dict[str, Any]:
    text = sent if isinstance(sent, str) else json.dumps(sent) if is_json else yaml.safe_dump(sent)
    return answer({"add": text, "is_json": is_json, "noted": NOTED}, environ)


def remove(name: str, environ: dict[str, str]) -> dict[str, Any]:
    return answer({"remove": name, "noted": NOTED}, environ)


@pytest.mark.parametrize("is_json", [False, True])
def test_it_submits_what_the_command_submits(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, is_json: bool
) -> None:
    environ |= {"FATHOM_NUM_GPUS": "0.5"}
    block = model_block("second", queues=["q2"])
    assert add(block, environ, is_json) == {"status": 202, "model": "second", "notes": []}
    dashboard.run(model_block("first", queues=["q1"], required=True), model_block("other"), API)
    file = tmp_path / "second.yaml"
    file.write_text(yaml.safe_dump(block))
    assert commands.add(file, environ) == 0
    over_http, by_command = dashboard.submitted
    assert over_http == by_command
    assert over_http["applications"][-1]["deployments"][0]["ray_actor_options"]["num_gpus"] == 0.5


def test_who_asked_is_in_the_log_of_changes(environ: dict[str, str], tmp_path: Path) -> None:
    add(model_block("second"), environ)
    add(model_block("second"), environ)
    remove("second", environ)
    lines = [json.loads(line) for line in (tmp_path / "data" / "audit.log").read_text().splitlines()]
    assert [(line["command"], line["model"], line["key"], line["client"], line["request"]) for line in lines] == [
        ("add", "second", "ada", "10.0.0.9", "r-1"),
        ("remove", "second", "ada", "10.0.0.9", "r-1"),
    ]


def test_a_model_of_the_catalogue_comes_by_its_name_and_leaves_the_queues_of_others(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as the door is somewhere else, too
    taken = "image_queue_yolov5"
    dashboard.run(model_block("first", queues=[taken]), API)
    said = add({"model": "mbari-mb-benthic-33k"}, environ, is_json=True)
    assert said == {"status": 202, "model": "mbari-mb-benthic-33k", "notes": [f"{taken} stays with first"]}
    assert dashboard.submitted[0]["applications"][-1]["args"]["labels_file"].startswith("configs/labels/")
    refused = add({"model": "mbari-mb-benthic-33"}, environ)
    assert (refused["status"], "did you mean mbari-mb-benthic-33k?" in refused["problems"][0]) == (422, True)


PIP = {"runtime_env": {"pip": ["a"]}}
SCALING = f"{DEPLOYMENT}.autoscaling_config"
RUN = {"policy_function": "os:system"}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("import_path", "redis_bridge.app:build", "import_path: a model's block has deployments.app:build"),
        ("import_path", "os:system", "import_path: a model's block has deployments.app:build"),
        ("runtime_env", {"pip": ["evil"]}, "runtime_env: is not taken over HTTP"),
        ("logging_config", {"logs_dir": "/etc"}, "logging_config: is not taken over HTTP"),
        ("route_prefix", "/predictor", "route_prefix: must be null"),
        (
            f"{DEPLOYMENT}.ray_actor_options",
            {"runtime_env": {"env_vars": {"A": "1"}}},
            "ray_actor_options.runtime_env",
        ),
        (f"{DEPLOYMENT}.logging_config", {"logs_dir": "/etc"}, "deployments[0].logging_config: is not taken"),
        (f"{DEPLOYMENT}.request_router_config", {"request_router_class": "os:system"}, "request_router_config"),
        (
            f"{DEPLOYMENT}.autoscaling_config",
            {"min_replicas": 1, "policy": RUN},
            "policy_function: must be deployments.",
        ),
        (
            f"{DEPLOYMENT}.autoscaling_config",
            {"min_replicas": 1, "policy": {**RUN, "policy_kwargs": {}}},
            "policy_kwargs",
        ),
        (SCALING, {"max_replicas": 10_000}, "max_replicas: must be at most 64 over HTTP"),
        ("args.labels_file", "/etc/passwd", "args.labels_file: names a file of the server"),
        ("args.weights", "/etc/passwd", "args.weights: over HTTP they come from hf: or doi:"),
        ("args.weights", {"uri": "file:///etc/passwd"}, "args.weights: over HTTP they come from hf: or doi:"),
        ("args.weights", "https://169.254.169.254/latest/x.pt", "args.weights: over HTTP they come from hf: or doi:"),
        ("args.weights", {"uri": "hf://a/../../b/c.pt"}, "args.weights: uri must have the form hf://"),
        ("args.family", "fixed-answr", "args.family: unknown family 'fixed-answr'; did you mean fixed-answer?"),
        ("zzz", 1, "zzz: is not taken over HTTP"),
    ],
)
def test_what_only_a_shell_may_is_refused(
    dashboard: FakeDashboard, environ: dict[str, str], path: str, value: object, told: str
) -> None:
    said = add(put(model_block("second"), path, value), environ)
    assert said["status"] == 422
    assert told in "; ".join(said["problems"])
    assert "root:" not in str(said), "nothing of a file is told"
    assert dashboard.submitted == []


@pytest.mark.parametrize(
    ("text", "is_json", "told"),
    [
        ("", False, "is empty"),
        ("a: &a [1]\nb: *a", False, "has YAML aliases"),
        ("[" * 50_000, False, "nested too deeply"),
        ("[" * 200_000, True, "nested too deeply"),
        ("name: a\nname: b", False, "duplicate key 'name'"),
        ('{"name": 1, "name": 2}', True, "duplicate key 'name'"),
        ("name: 2020-99-99", False, "cannot be read"),
        ("when: 2020-01-01", False, "cannot be read"),
        ("name: .inf", False, "cannot be read"),
        ('{"name": NaN}', True, "cannot be read"),
        ('{"name": "\\ud800"}', True, "cannot be read"),
        (f"name: {'9' * 5000}", False, "cannot be read"),
        ("name: \x00", False, "the block"),
        ("!!python/object/apply:os.system [ls]", False, "could not determine a constructor"),
        ("[1]", True, "must be the mapping of one application"),
        ('{"model": ["a"]}', True, "is not in fathomnet.yaml"),
    ],
)
def test_a_hostile_text_is_told_what_is_wrong(environ: dict[str, str], text: str, is_json: bool, told: str) -> None:
    said = add(text, environ, is_json)
    assert said["status"] == 422
    assert told in "; ".join(said["problems"])


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (model_block("first"), "first is running already"),
        (model_block("api"), "api is running already"),
        (model_block("second", queues=["q1"]), "q1 already belongs to model first"),
    ],
)
def test_what_runs_is_not_replaced(
    dashboard: FakeDashboard, environ: dict[str, str], block: dict[str, Any], told: str
) -> None:
    said = add(block, environ)
    assert (said["status"], told in said["problems"][0]) == (409, True)
    assert dashboard.submitted == []


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("first", 409, "first is required: without it the system is not ready"),
        ("api", 404, "api is part of the system, not a model"),
        ("q1", 404, "q1 is not running; models: first, other"),
    ],
)
def test_what_clients_rely_on_stays(
    dashboard: FakeDashboard, environ: dict[str, str], name: str, status: int, told: str
) -> None:
    said = remove(name, environ)
    assert (said["status"], told in said["problems"][0]) == (status, True)
    assert dashboard.submitted == []


def test_the_last_model_and_the_default_one_stay(dashboard: FakeDashboard, environ: dict[str, str]) -> None:
    dashboard.run(model_block("a", queues=["first"]), model_block("b"), API)
    assert "default_model" in remove("a", environ)["problems"][0]
    assert remove("b", environ)["status"] == 202
    dashboard.run(model_block("b"), API)
    assert "is the last model" in remove("b", environ)["problems"][0]


def test_a_system_that_does_not_answer_is_not_the_clients_fault(environ: dict[str, str]) -> None:
    said = add(model_block("second"), environ | {"FATHOM_DASHBOARD_PORT": "9"})
    assert (said["status"], "nothing answers" in said["problems"][0]) == (503, True)


def test_the_program_speaks_json_and_nothing_else(environ: dict[str, str], tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FATHOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "serve_app.launcher.door_change"],
        input=json.dumps({"remove": "nobody", "noted": NOTED}),
        capture_output=True,
        text=True,
        env=inherited | environ,
        cwd=tmp_path,
        timeout=100,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == 404
