"""What is said while applications start."""

from typing import Any

import pytest

from serve_app.launcher.progress import INTERVAL_S, Progress, told


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def details(**status_of: str) -> dict[str, Any]:
    reports = {
        name: {"status": status, "message": "no room for 1 CPU" if status == "DEPLOYING" else "", "deployments": {}}
        for name, status in status_of.items()
    }
    return {"applications": reports}


def test_a_line_is_due_every_interval_and_not_before() -> None:
    clock = Clock()
    progress = Progress(clock)
    due = []
    for _ in range(7):
        due.append(progress.is_due())
        clock.now_s += INTERVAL_S / 2
    assert due == [False, False, True, False, True, False, True]


def test_who_waits_for_a_model_without_a_place_reads_why(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    is_met = told(lambda now: now["applications"]["best"]["status"] == "RUNNING", ["best", "later"], clock)
    now = details(best="DEPLOYING", other="DEPLOYING")
    assert not is_met(now)
    assert capsys.readouterr().err == ""
    clock.now_s += INTERVAL_S
    assert not is_met(now)
    assert not is_met(now)
    said = capsys.readouterr().err
    assert said == "still starting after 15 s: best (no room for 1 CPU), later (NOT_STARTED)\n"
    clock.now_s += INTERVAL_S
    assert is_met(details(best="RUNNING"))
    assert capsys.readouterr().err == ""
