"""The log of changes: one line of JSON for each, bounded, for the owner only, and in nobody's way."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from serve_app.launcher import commands
from serve_app.launcher.audit import MAX_BYTES, note_change
from serve_app.launcher.console import LaunchError
from tests.serve_app.launcher.blocks import API, model_block
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


def test_every_change_of_the_running_system_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    block, system, data = tmp_path / "second.yaml", tmp_path / "system.yaml", tmp_path / "data"
    block.write_text(yaml.safe_dump(model_block("second")))
    system.write_text(yaml.safe_dump({"applications": [model_block("first"), API]}))
    with serving(FakeDashboard()) as dashboard:
        dashboard.run(model_block("first"), API)
        environ = {
            "FATHOM_DASHBOARD_PORT": dashboard.url.rsplit(":", 1)[1],
            "FATHOM_DATA_DIR": str(data),
            "RAY_AUTH_MODE": "disabled",
            "FATHOM_START_PATIENCE_S": "5",
        }
        dashboard.open_door()
        commands.add(block, environ)
        with pytest.raises(LaunchError):
            commands.add(block, environ)
        commands.remove("second", environ)
        commands.deploy(system, environ)
    found = lines(data)
    assert [{name: line[name] for name in line.keys() - {"time", "user", "host"}} for line in found] == [
        {"command": "add", "model": "second", "block": str(block)},
        {"command": "remove", "model": "second"},
        {"command": "deploy", "file": str(system), "applications": ["first", "api"]},
    ]
    assert all(line["user"] and line["host"] for line in found)
    age = datetime.now(UTC) - datetime.fromisoformat(str(found[0]["time"]))
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert stat.S_IMODE((data / "audit.log").stat().st_mode) == 0o600


def test_who_called_sudo_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    note_change(tmp_path, "remove", model="a\nb")
    [line] = lines(tmp_path)
    assert (str(line["user"]).endswith(" (sudo by ada)"), line["model"]) == (True, "a\nb")


def test_it_stays_small(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(b"x" * (MAX_BYTES + 1))
    note_change(tmp_path, "remove", model="a")
    assert len(lines(tmp_path)) == 1
    assert (tmp_path / "audit.log.1").stat().st_size == MAX_BYTES + 1


def test_a_disk_that_takes_nothing_keeps_nobody_from_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkdir(tmp_path / "audit.log")
    note_change(tmp_path, "remove", model="a")
    assert "this change is not written down" in capsys.readouterr().err
