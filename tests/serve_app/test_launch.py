"""The command line: every problem of every file in a line of its own."""

from pathlib import Path

import pytest

from serve_app.launch import main


def test_check_tells_the_problems_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("applications: []\nzzz: 1\n")
    assert main(["check", *map(str, tmp_path.glob("*.yaml"))]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all("zzz: unknown key" in line for line in errors)


def test_a_file_that_is_not_there_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "/nowhere.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("/nowhere.yaml: cannot be read")
