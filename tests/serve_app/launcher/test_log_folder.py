"""The folder of all logs stays small, and nothing is taken away from a process that still writes."""

import os
import threading
from pathlib import Path

from serve_app.launcher.processes.log_folder import keep_swept, sweep
from tests.support.waiting import wait_for


def write(path: Path, age: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 1000)
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_the_oldest_go_first_and_no_more_than_must(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{age}" / "replica.log", age) for age in range(10)]
    sweep(tmp_path, 10_000)
    assert all(file.exists() for file in files)
    sweep(tmp_path, 5_000)
    assert [file.exists() for file in files] == [True] * 4 + [False] * 6


def test_a_file_that_somebody_writes_stays_however_old_it_is(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{age}.log", age) for age in range(4)]
    outside = tmp_path.parent / "outside.log"
    write(outside, 99)
    (tmp_path / "link.log").symlink_to(outside)
    with files[3].open("ab") as writer:
        sweep(tmp_path, 100)
        writer.write(b"its last words")
    assert [file.exists() for file in files] == [False, False, False, True]
    assert files[3].read_bytes().endswith(b"its last words")
    assert outside.exists()


def test_it_goes_on_in_the_background_until_it_is_stopped(tmp_path: Path) -> None:
    stop = keep_swept(tmp_path, 100, interval_s=0.01)
    file = write(tmp_path / "a.log", 0)
    wait_for(lambda: not file.exists(), 10, "the sweep")
    stop.set()
    wait_for(lambda: "log sweeper" not in {one.name for one in threading.enumerate()}, 10, "its end")
