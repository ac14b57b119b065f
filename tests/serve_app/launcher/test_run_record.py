"""The folder of a run and its record: for its owner only, one system each, and no secret in it."""

import json
import os
import stat
from pathlib import Path

import pytest

from serve_app.launcher import serve_command
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.ports import free_ports
from serve_app.launcher.run_record import one_change_at_a_time, open_folder, read_record, remove_record, write_record


def test_the_record_keeps_no_secret_and_ends_with_its_process(tmp_path: Path) -> None:
    environ = {
        "FATHOM_HTTP_PORT": "1",
        "RAY_AUTH_MODE": "token",
        "REDIS_URL": "redis://:hush@h",
        "RAY_AUTH_TOKEN": "t",
        "FATHOM_API_KEY": "hush",
    }
    write_record(tmp_path, environ)
    record = read_record(tmp_path)
    assert record.pid == os.getpid()
    assert record.environment == {"FATHOM_HTTP_PORT": "1", "RAY_AUTH_MODE": "token"}
    assert record.has_real_redis
    assert "hush" not in (tmp_path / "system.json").read_text()

    note = json.loads((tmp_path / "system.json").read_text())
    (tmp_path / "system.json").write_text(json.dumps(note | {"started_at_s": note["started_at_s"] - 100}))
    assert read_record(tmp_path).pid == 0, "another process has got the number since"
    remove_record(tmp_path)
    assert read_record(tmp_path).pid == 0


def test_a_folder_that_serves_a_system_takes_no_second_one(tmp_path: Path) -> None:
    write_record(tmp_path, {})
    file = tmp_path / "empty.yaml"
    file.write_text("applications: []\n")
    environ = {"FATHOM_DATA_DIR": str(tmp_path), "RAY_AUTH_MODE": "disabled"} | free_settings()
    with pytest.raises(LaunchError, match=rf"runs in .* already \(process {os.getpid()}\); set FATHOM_DATA_DIR"):
        serve_command.serve(file, False, environ)


def free_settings() -> dict[str, str]:
    http, dashboard = free_ports(2)
    return {"FATHOM_HTTP_PORT": f"{http}", "FATHOM_DASHBOARD_PORT": f"{dashboard}"}


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with one_change_at_a_time(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="set FATHOM_DATA_DIR to a folder that can"):
        open_folder(tmp_path / "file" / "folder")
