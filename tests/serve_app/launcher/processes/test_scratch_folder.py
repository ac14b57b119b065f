"""A folder goes with its system, even one that was killed; nobody else's is touched."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.launcher.processes.scratch_folder import held, is_scratch, remove_if_free, scratch_folder

ROOT = Path(__file__).parents[4]
OWNER = """
import sys
from serve_app.launcher.processes.scratch_folder import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    input()
"""


@contextmanager
def owner_of_a_folder(parent: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Another system, and its folder."""
    command = [sys.executable, "-c", OWNER, str(parent)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def make_old(folder: Path) -> None:
    """As if it had been made an hour ago."""
    then_s = time.time() - 3600
    for path in (folder, *folder.iterdir()):
        os.utime(path, (then_s, then_s))


def test_it_is_for_the_owner_only_and_goes_in_the_end(tmp_path: Path) -> None:
    with scratch_folder(str(tmp_path)) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "socket").touch()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_system_goes_with_the_next_start(tmp_path: Path) -> None:
    with owner_of_a_folder(tmp_path) as (owner, left):
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    make_old(left)
    with scratch_folder(str(tmp_path)) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_system_stays(tmp_path: Path) -> None:
    with owner_of_a_folder(tmp_path) as (_, others):
        make_old(others)
        with scratch_folder(str(tmp_path)):
            assert others.is_dir()
        remove_if_free(others)
        assert others.is_dir()


def test_a_folder_is_kept_by_whoever_outlives_the_one_that_made_it(tmp_path: Path) -> None:
    with owner_of_a_folder(tmp_path) as (owner, left):
        make_old(left)
        with held(left):
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            with scratch_folder(str(tmp_path)):
                assert left.is_dir()
        remove_if_free(left)
        assert not left.exists()


@pytest.mark.parametrize("name", ["fathom-abcdefgh", "fathom-data"])
def test_a_folder_of_somebody_else_with_such_a_name_stays(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.mkdir()
    (mine / "frame.png").write_bytes(b"\x89PNG")
    make_old(mine)
    with scratch_folder(str(tmp_path)):
        assert (mine / "frame.png").exists()


def test_a_folder_that_a_user_named_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "frame.png").write_bytes(b"\x89PNG")
    assert not is_scratch(tmp_path)
    remove_if_free(tmp_path)
    assert (tmp_path / "frame.png").exists()
