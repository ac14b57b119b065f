"""What docs/architecture.md lists of private APIs is still there, and each row names a test that guards it."""

import inspect
import re
from pathlib import Path

import ray
from ray.serve._private import constants
from ray.serve._private.client import ServeControllerClient
from ray.serve._private.controller import ServeController
from ray.serve._private.replica import ReplicaActor
from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle
from ray.serve.scripts import cli

from deployments.client.replica_probe import SERVE_NAMESPACE
from serve_app.launcher.configuration.ray_variables import RAY_DEFAULTS
from serve_app.launcher.proxy.haproxy import ENABLED, FOLDER, PORTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Private APIs in use")[1].split("\n## ")[0]


def guards() -> list[tuple[str, str]]:
    """The file and the function of every test that the table names."""
    return re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", SECTION)


def test_every_private_api_in_the_table_has_a_guard_that_exists() -> None:
    rows = [line for line in SECTION.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    assert [row for row in rows if "(../tests/" not in row] == []
    missing = [(file, name) for name, file in guards() if f"def {name}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_the_controller_is_asked_by_names_that_serve_has() -> None:
    assert "raise_if_no_controller_running" in inspect.signature(_get_global_client).parameters
    assert "_controller" in ServeControllerClient.__init__.__code__.co_names
    assert inspect.isfunction(ServeController.get_serve_instance_details)


def test_a_handle_can_pass_requests_by_reference() -> None:
    assert "_by_reference" in inspect.signature(DeploymentHandle.options).parameters


def test_a_replica_can_be_asked_for_its_health_in_the_namespace_of_serve() -> None:
    assert constants.SERVE_NAMESPACE == SERVE_NAMESPACE
    assert inspect.iscoroutinefunction(ReplicaActor.check_health)


def test_ray_starts_with_a_folder_and_an_object_store_of_our_choice() -> None:
    documented = ray.init.__doc__ or ""
    assert [name for name in ("_temp_dir", "_plasma_directory") if f"``{name}``" not in documented] == []


def test_serve_run_is_a_command_of_serves_command_line() -> None:
    assert "run" in cli.commands


def test_serve_knows_every_switch_that_is_set_for_it() -> None:
    known = Path(constants.__file__).read_text(encoding="utf-8")
    set_by_us = {variable.name for variable in RAY_DEFAULTS} | {ENABLED, FOLDER, *PORTS}
    assert [name for name in sorted(set_by_us) if name.startswith("RAY_SERVE_") and f'"{name}"' not in known] == []
