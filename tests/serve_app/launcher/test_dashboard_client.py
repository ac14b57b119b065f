"""Changes of the running system: one model at a time, everything else submitted again exactly as it was."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.launcher import commands
from serve_app.launcher.app_status import submission
from serve_app.launcher.console import LaunchError
from serve_app.launcher.dashboard_client import RunningSystem
from tests.serve_app.launcher.blocks import API, model_block
from tests.serve_app.launcher.fake_dashboard import FAILURE, FakeDashboard, serving
from tests.support.waiting import wait_for


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard()) as running:
        running.run(model_block("first", queues=["q1"]), API)
        yield running


@pytest.fixture
def environ(dashboard: FakeDashboard, tmp_path: Path) -> dict[str, str]:
    port = dashboard.url.rsplit(":", 1)[1]
    return {
        "FATHOM_DASHBOARD_PORT": port,
        "FATHOM_DATA_DIR": str(tmp_path / "data"),
        "RAY_AUTH_MODE": "disabled",
        "FATHOM_START_PATIENCE_S": "5",
    }


def written(folder: Path, document: dict[str, Any]) -> Path:
    file = folder / "document.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_add_submits_the_others_exactly_as_they_were(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard.open_door()
    before = submission(dashboard.details())
    block = model_block("second", queues=["q2"])
    assert commands.add(written(tmp_path, block), environ) == 0
    assert dashboard.submitted == [before | {"applications": [*before["applications"], block]}]
    assert "second  RUNNING" in capsys.readouterr().out


def test_add_takes_the_share_of_a_gpu_from_the_environment(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path
) -> None:
    dashboard.open_door()
    commands.add(written(tmp_path, model_block("second")), environ | {"FATHOM_NUM_GPUS": "0.25"})
    assert dashboard.submitted[0]["applications"][-1]["deployments"][0]["ray_actor_options"]["num_gpus"] == 0.25


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (model_block("first"), "first is running already; running: first, api"),
        (model_block("second", queues=["q1"]), "q1 already belongs to model first"),
        (model_block("api"), "api is running already"),
    ],
)
def test_add_refuses_what_is_taken(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, block: dict[str, Any], reason: str
) -> None:
    with pytest.raises(LaunchError, match=reason):
        commands.add(written(tmp_path, block), environ)
    assert dashboard.submitted == []


def test_an_error_of_the_dashboard_is_told_without_its_traceback(
    dashboard: FakeDashboard, environ: dict[str, str]
) -> None:
    dashboard.error = FAILURE
    with pytest.raises(LaunchError) as caught:
        commands.status(environ)
    assert "ModelUnavailable: the weights w.npz cannot be read" in str(caught.value.problems)
    assert "Traceback" not in str(caught.value.problems)


def test_a_model_that_fails_is_told_in_one_line_and_the_others_stay(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard.failing = {"broken"}
    assert commands.add(written(tmp_path, model_block("broken")), environ) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("broken  DEPLOY_FAILED")
    assert line.endswith("ModelUnavailable: the weights w.npz cannot be read")
    assert "first" in dashboard.applications


def test_remove_takes_one_model_away(dashboard: FakeDashboard, environ: dict[str, str]) -> None:
    assert commands.remove("first", environ) == 0
    assert [app["name"] for app in dashboard.submitted[0]["applications"]] == ["api"]


def test_a_model_is_not_removed_before_its_candidates(dashboard: FakeDashboard, environ: dict[str, str]) -> None:
    block = model_block("next")
    block["deployments"][0]["user_config"] = {"candidate": {"of": "first", "share": 0.1}}
    dashboard.run(model_block("first"), block, API)
    with pytest.raises(LaunchError, match="first has candidates; remove them first"):
        commands.remove("first", environ)
    assert dashboard.submitted == []
    assert commands.remove("next", environ) == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", "other is not running; models: first"),
        ("api", "api is part of the system, not a model; models: first"),
    ],
)
def test_remove_refuses_what_is_no_model(
    dashboard: FakeDashboard, environ: dict[str, str], name: str, reason: str
) -> None:
    with pytest.raises(LaunchError, match=reason):
        commands.remove(name, environ)
    assert dashboard.submitted == []


def test_deploy_submits_the_file_and_warns_of_what_cannot_change(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"http_options": {"port": 9999}, "applications": [model_block("third")]}
    assert commands.deploy(written(tmp_path, document), environ) == 0
    assert dashboard.submitted == [document]
    assert "http_options.port: stays 8082 until the system is restarted" in capsys.readouterr().err


def test_deploy_of_a_wrong_file_asks_nothing_of_the_system(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(LaunchError, match="unknown key"):
        commands.deploy(written(tmp_path, {"applications": [model_block(zzz=1)]}), environ)
    assert dashboard.submitted == []


def test_a_deployment_that_takes_long_can_be_taken_back_meanwhile(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard.loading = {"slow"}
    before = submission(dashboard.details())
    earlier, later = tmp_path / "earlier.yaml", tmp_path / "later.yaml"
    earlier.write_text(yaml.safe_dump(before))
    later.write_text(yaml.safe_dump(before | {"applications": [*before["applications"], model_block("slow")]}))
    patient = environ | {"FATHOM_START_PATIENCE_S": "600"}
    with ThreadPoolExecutor(1) as other:
        first = other.submit(commands.deploy, later, patient)
        wait_for(lambda: "slow" in dashboard.applications, what="the first deployment")
        assert commands.deploy(earlier, patient) == 0
        assert first.result(30) == 1
    assert "slow   NOT_RUNNING   0 running  a later change has taken it away" in capsys.readouterr().out


def test_status_names_every_application_and_fails_when_one_has_failed(
    dashboard: FakeDashboard, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.status(environ) == 0
    dashboard.failing = {"first"}
    dashboard.run(model_block("first"), API)
    assert commands.status(environ) == 1
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["api", "RUNNING"],
        ["first", "RUNNING"],
        ["api", "RUNNING"],
        ["first", "DEPLOY_FAILED"],
    ]


def test_the_token_goes_with_every_call(dashboard: FakeDashboard, environ: dict[str, str]) -> None:
    dashboard.token = "secret"
    with pytest.raises(LaunchError, match="refuses access: set RAY_AUTH_MODE"):
        commands.status(environ)
    assert commands.status(environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}) == 0


def test_on_a_cluster_the_launchers_settings_go_with_every_application(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path
) -> None:
    joined = {"RAY_ADDRESS": "127.0.0.1:6379", "FATHOM_WEIGHTS_OFFLINE": "1"}
    config = written(tmp_path, {"applications": [model_block("first")]})
    dashboard.location = "HeadOnly"
    assert commands.deploy(config, environ | joined) == 0
    [application] = dashboard.submitted[-1]["applications"]
    assert application["runtime_env"]["env_vars"]["FATHOM_WEIGHTS_OFFLINE"] == "1"


def test_on_a_cluster_nothing_changes_where_nodes_lack_something(
    dashboard: FakeDashboard, environ: dict[str, str], tmp_path: Path
) -> None:
    bridge = {"name": "bridge", "import_path": "redis_bridge.app:build", "route_prefix": None}
    joined = {"RAY_ADDRESS": "127.0.0.1:6379", "REDIS_URL": "redis://:hunter2@127.0.0.1"}
    with pytest.raises(LaunchError, match=r"nodes without REDIS_URL: 127.0.0.1"):
        commands.deploy(written(tmp_path, {"applications": [bridge]}), environ | joined)
    assert dashboard.submitted == []


def test_a_system_that_is_not_there_is_told_in_one_line(environ: dict[str, str]) -> None:
    with pytest.raises(LaunchError, match=r"nothing answers at http://127.0.0.1:1 \(FATHOM_DASHBOARD_PORT\)"):
        commands.status(environ | {"FATHOM_DASHBOARD_PORT": "1"})


def test_a_system_that_is_still_starting_has_no_report_yet(dashboard: FakeDashboard) -> None:
    dashboard.busy_answers = 2
    with RunningSystem(dashboard.url, {}) as system:
        assert system.details_or_none() is None
        with pytest.raises(LaunchError, match="still starting"):
            system.details()
        assert system.details()["applications"].keys() == {"first", "api"}


def test_waiting_ends_when_patience_does(dashboard: FakeDashboard) -> None:
    with RunningSystem(dashboard.url, {}) as system:
        assert system.wait_until(lambda details: False, timeout_s=0.01)["applications"]


def test_an_application_on_its_way_out_is_not_submitted_again(dashboard: FakeDashboard) -> None:
    dashboard.applications["first"]["status"] = "DELETING"
    assert [app["name"] for app in submission(dashboard.details())["applications"]] == ["api"]


def test_a_dashboard_that_misses_a_beat_does_not_end_the_waiting(dashboard: FakeDashboard) -> None:
    with RunningSystem(dashboard.url, {}) as system:
        dashboard.busy_answers = 1
        assert system.wait_until(lambda details: "first" in details["applications"], timeout_s=10)
    assert dashboard.busy_answers == 0
