"""A run that stopped goes on where it was, and what it has written is whole at any moment."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.command.conftest import Ended, Fathom
from tests.client.fake_server import FakeServer
from tests.support.waiting import wait_for

Start = Callable[..., "subprocess.Popen[str]"]


def names_in(file: Path) -> list[str]:
    return [Path(json.loads(line)["file"]).name for line in file.read_text().splitlines()]


def end_of(process: "subprocess.Popen[str]") -> Ended:
    out, err = process.communicate(timeout=20)
    return Ended(process.returncode, out, err)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run_until_the_slow_one(start: Start, frames: Path, out: Path, written: Callable[[], bool], *more: str) -> Ended:
    """Interrupted by Ctrl-C when all before the slow image 13 are written."""
    (frames / "13.jpg").write_bytes(b"slow")
    process = start("predict", frames, "--model", "demo", "-o", out, "-c", 1, *more)
    try:
        wait_for(written, 20, "the answers before the slow one", 0.02)
        process.send_signal(signal.SIGINT)
        return end_of(process)
    finally:
        process.kill()
        process.wait()
        (frames / "13.jpg").write_bytes(b"13")


def test_ctrl_c_leaves_lines_and_they_are_continued(
    started: Start, fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    stopped = run_until_the_slow_one(
        started, frames, out, lambda: out.exists() and out.read_bytes().count(b"\n") == 3
    )
    assert (stopped.status, stopped.err) == (130, "interrupted; what is done is kept; --resume goes on from here\n")
    assert names_in(out) == ["10.jpg", "11.jpg", "12.jpg"]
    server.asked.clear()
    ended = fathom("predict", frames, "--model", "demo", "-o", out, "--resume")
    assert (ended.status, ended.err) == (0, "3 of 6 images are done\n")
    assert names_in(out) == [f"{number}.jpg" for number in range(10, 16)]
    assert sorted(asked.images[0][1] for asked in server.asked) == [b"13", b"14", b"15"]
    again = fathom("predict", frames, "--model", "demo", "-o", out, "--resume")
    assert (again.status, len(server.asked)) == (0, 3)


def test_ctrl_c_leaves_a_joined_file_and_it_is_continued(
    started: Start, fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    parts = out.with_name("out.parts")
    more = ("--format", "fathomnet-csv")
    stopped = run_until_the_slow_one(started, frames, out, lambda: len(list(parts.glob("*.csv"))) == 3, *more)
    assert stopped.status == 130
    assert out.read_text().split() == ["concept,image,score", "Fish,10.jpg,10", "Fish,11.jpg,11", "Fish,12.jpg,12"]
    server.asked.clear()
    assert fathom("predict", frames, "--model", "demo", "-o", out, *more).status == 2
    assert fathom("predict", frames, "--model", "demo", "-o", out, "--resume", *more).status == 0
    assert len(out.read_text().split()) == 7
    assert len(server.asked) == 3
    assert not parts.exists()
    complete = fathom("predict", frames, "--model", "demo", "-o", out, "--resume", *more)
    assert (complete.status, "is complete" in complete.err) == (2, True)


def test_a_joined_file_that_a_run_could_not_write_any_more_is_written_by_the_next(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    arguments = ("predict", frames, "--model", "demo", "-o", out, "--format", "fathomnet-csv")
    (frames / "15.jpg").write_bytes(b"bad")
    assert fathom(*arguments).status == 1
    out.unlink()  # as after a power cut before it was written
    (frames / "15.jpg").unlink()
    ended = fathom(*arguments, "--resume")
    assert (ended.status, ended.err) == (0, "5 of 5 images are done\n")
    assert len(out.read_text().split()) == 6
    assert not out.with_name("out.parts").exists()


@pytest.mark.parametrize("line", ['{"file": "x"}', '{"a": ' + "[" * 100_000, "null"])
def test_a_record_that_somebody_damaged_is_told(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path, line: str
) -> None:
    arguments = ("predict", frames, "--model", "demo", "-o", out, "--format", "voc")
    assert fathom(*arguments).status == 0
    with (out / ".fathom-predict.jsonl").open("a") as record:
        record.write(f"{line}\n")
    ended = fathom(*arguments, "--resume")
    assert (ended.status, "Traceback" in ended.err) == (2, False)


def test_a_line_that_was_cut_off_is_written_again(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    fathom("predict", frames, "--model", "demo", "-o", out)
    whole = out.read_bytes()
    for cut in (1, 20, len(whole) // 2):
        out.write_bytes(whole[:-cut])
        assert fathom("predict", frames, "--model", "demo", "-o", out, "--resume").status == 0
        assert out.read_bytes() == whole


def test_what_failed_is_tried_again_and_a_lost_file_is_made_again(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    (frames / "11.jpg").write_bytes(b"bad")
    command = ["predict", frames, "--model", "demo", "-o", out, "--format", "voc"]
    assert fathom(*command).status == 1
    assert fathom(*command).status == 2
    (frames / "11.jpg").write_bytes(b"11")
    (out / "14.xml").unlink()
    server.asked.clear()
    assert fathom(*command, "--resume").status == 0
    assert sorted(asked.images[0][0] or "" for asked in server.asked) == ["11.jpg", "14.jpg"]
    assert len(list(out.glob("*.xml"))) == 6
    assert [file.name for file in out.iterdir() if not file.name.endswith(".xml")] == [".fathom-predict.jsonl"]


def test_an_image_that_an_option_does_not_suit_is_not_taken_for_wrong_usage(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    (frames / "11.jpg").write_bytes(b"huge")
    command = ["predict", frames, "--model", "demo", "-o", out, "--tiling", "32x32"]
    assert (fathom(*command).status, len(names_in(out))) == (1, 5)
    assert fathom(*command, "--resume").status == 1
    assert fathom("predict", frames / "11.jpg", "--model", "demo", "--tiling", "32x32").status == 2


@pytest.mark.parametrize("file_format", ["json", "voc", "coco"])
def test_other_settings_are_not_mixed_in(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path, file_format: str
) -> None:
    (frames / "11.jpg").write_bytes(b"bad")
    command = ["predict", frames, "--model", "demo", "-o", out, "--format", file_format, "--resume"]
    assert fathom(*command, "--score-threshold", "0.5").status == 1
    ended = fathom(*command, "--score-threshold", "0.4")
    assert (ended.status, "was begun with other settings" in ended.err) == (2, True)
    assert '"score_threshold": 0.5' in ended.err


@pytest.mark.parametrize("content", ["name,score\nFish,1\n", "name", '{"file": 1\n', "[1]\n", '{"a": 1}\n'])
def test_a_file_of_somebody_else_is_left_alone(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path, content: str
) -> None:
    out.write_text(content)
    ended = fathom("predict", frames, "--model", "demo", "-o", out, "--resume")
    assert (ended.status, "no JSON lines" in ended.err, out.read_text()) == (2, True, content)


def test_overwriting_begins_anew(fathom: Fathom, server: FakeServer, frames: Path, out: Path) -> None:
    for _ in range(2):
        assert fathom("predict", frames, "--model", "demo", "-o", out, "--overwrite").status == 0
        assert len(names_in(out)) == 6
    assert len(server.asked) == 12


def test_a_server_that_goes_away_ends_the_run_and_keeps_what_is_done(
    fathom: Fathom, server: FakeServer, frames: Path, out: Path
) -> None:
    (frames / "12.jpg").write_bytes(b"cut")
    ended = fathom("predict", frames, "--model", "demo", "-o", out, "-c", 1, "--retry-for", 0)
    assert ended.status == 3
    assert "cannot be reached" in ended.err
    assert names_in(out) == ["10.jpg", "11.jpg"]
    (frames / "12.jpg").write_bytes(b"12")
    assert fathom("predict", frames, "--model", "demo", "-o", out, "--resume").status == 0
    assert len(names_in(out)) == 6


def test_whoever_stops_reading_ends_the_run_quietly(started: Start, server: FakeServer, frames: Path) -> None:
    for number in range(200):
        (frames / f"more-{number}.jpg").write_bytes(b"1")
    process = started("predict", frames, "--model", "demo")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "")
    assert len(server.asked) < 200
