"""`fathom predict`: which files it takes, what it writes where, and how it ends."""

import json
import os
import socket
from pathlib import Path

import pytest

from fathom_client import UnusableImage
from fathom_client.images import encoded
from tests.client.command.conftest import Fathom
from tests.client.fake_server import FakeServer, problem


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_of_json_for_each_image_in_order(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    ended = fathom("predict", frames, "--model", "demo", "--score-threshold", "0.05", "--classes", "Fish")
    assert (ended.status, ended.err) == (0, "")
    found = lines(ended.out)
    assert [line["file"] for line in found] == [f"{frames}/{number}.jpg" for number in range(10, 16)]
    assert [line["detections"][0]["score"] for line in found] == [0.10, 0.11, 0.12, 0.13, 0.14, 0.15]
    assert found[0]["asked"] == {"model": "demo", "options": {"classes": ["Fish"], "score_threshold": 0.05}}
    assert (found[0]["model"], found[0]["revision"], found[0]["name"]) == ("demo", "1", "10.jpg")
    assert server.asked[0].query == [("classes", "Fish"), ("score_threshold", "0.05")]


def test_files_folders_and_patterns_are_taken_once(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    (frames / "dive" / "deep").mkdir(parents=True)
    (frames / "dive" / "deep" / "20.PNG").write_bytes(b"20")
    (frames / ".trash").mkdir()
    for name in ("notes.txt", "._10.jpg", ".trash/30.jpg"):
        (frames / name).write_bytes(b"99")
    (frames.parent / "40.raw").write_bytes(b"40")
    ended = fathom("predict", frames.parent / "40.raw", frames / "1[01].jpg", frames, "--model", "demo")
    assert [Path(line["file"]).name for line in lines(ended.out)] == [
        "40.raw", "10.jpg", "11.jpg", "12.jpg", "13.jpg", "14.jpg", "15.jpg", "20.PNG",
    ]  # fmt: skip
    assert len(lines(fathom("predict", f"{frames}/**/*.PNG", "--model", "demo").out)) == 1


def test_what_fails_is_told_and_the_others_go_on(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    (frames / "11.jpg").write_bytes(b"bad")
    ended = fathom("predict", frames, frames / "gone.jpg", "--model", "demo", "-o", frames.parent / "out.jsonl")
    assert ended.status == 1
    assert ended.err.splitlines() == [
        f"{frames}/11.jpg: the image cannot be read (422 invalid-image)",
        f"{frames}/gone.jpg: No such file or directory",
        "2 of 7 images failed",
    ]
    assert len(lines((frames.parent / "out.jsonl").read_text())) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{frames}/*.gif", "--model", "demo"], "no file has such a name"),
        (["{frames}/empty", "--model", "demo"], "no images in this folder"),
        (["{frames}", "--model", "demo", "--resume"], "--resume needs -o"),
        (["{frames}", "--model", "demo", "--format", "voc"], "name a folder for them with -o"),
        (["{frames}", "--model", "demo", "-o", "{frames}"], "is a folder"),
        (["{frames}", "--model", "demo", "-o", "{frames}", "--format", "voc"], "is not empty"),
        (["{frames}", "--model", "demo", "--format", "cocco"], "coco-dataset"),
        (["{frames}", "--model", "demo", "-o", "{frames}/notes", "--format", "voc"], "needs a folder"),
        (["{frames}", "--model", "demo", "-o", "{frames}/notes"], "--overwrite replaces"),
        (["{frames}", "{frames}/empty/../10.jpg", "--model", "demo", "-o", "{frames}/x", "--format", "voc"], "same"),
        (["{frames}", "--model", "demo", "-o", "/dev/null", "--overwrite"], "/dev/null is a device"),
        (["{frames}/10.jpg", "--model", "demo", "-o", "/dev/null", "--overwrite", "--format", "voc"], "is a device"),
        (["{frames}"], "--model"),
        (["{frames}", "--model", "demo", "-c", "0"], "1 at least"),
        (["{frames}", "--model", "demo", "--score-threshold", "much"], "score-threshold"),
        (["{frames}", "--model", "demo", "--score-threshold", "1", "--score-threshold", "Fish=1"], "score-threshold"),
        (["{frames}", "--model", "demo", "--url", "ship:8082"], "http://"),
        (["{frames}", "--model", "gone"], "no model gone (404 model-not-found); `fathom models` lists the names"),
        (["{frames}", "--model", "demo", "--format", "cocco", "-o", "{frames}/x"], "did you mean coco?"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_written(
    fathom: Fathom, server: FakeServer, frames: Path, arguments: list[str], said: str
) -> None:
    (frames / "empty").mkdir()
    (frames / "notes").write_text("mine")
    before = sorted(frames.rglob("*"))
    ended = fathom("predict", *(argument.format(frames=frames) for argument in arguments))
    assert ended.status == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert (sorted(frames.rglob("*")), (frames / "notes").read_text(), ended.out) == (before, "mine", "")


def test_a_server_that_is_not_there_is_told_at_once(fathom: Fathom, frames: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    ended = fathom("predict", frames, "--model", "demo", "--url", url, "-o", frames.parent / "out.jsonl")
    assert (ended.status, ended.out) == (3, "")
    assert f"{url} cannot be reached" in ended.err
    assert not (frames.parent / "out.jsonl").exists()


def test_a_model_that_could_not_be_built_is_not_waited_for(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    ended = fathom("predict", frames, "--model", "broken")
    assert (ended.status, ended.err) == (1, "fathom predict: broken could not be built: no such file: best.pt\n")
    assert server.asked == []


def test_a_key_that_does_not_permit_it_ends_the_run(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    server.first.extend(problem(403, "forbidden", "this key may not predict") for _ in range(6))
    ended = fathom("predict", frames, "--model", "demo", "-c", 1)
    assert (ended.status, ended.err) == (2, "fathom predict: this key may not predict (403 forbidden)\n")


def test_thresholds_for_labels(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    given = ["--score-threshold", "Sea=star=0.5", "--score-threshold", "*=0.2", "--tiling", "640x640"]
    assert fathom("predict", frames / "10.jpg", "--model", "demo", *given).status == 0
    assert dict(server.asked[0].query) == {"score_threshold": '{"Sea=star": 0.5, "*": 0.2}', "tiling": "640x640"}


def test_one_file_for_each_image_lies_as_the_images_do(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    (frames / "dive").mkdir()
    for name in ("dive/10.jpg", "twin.jpg", "twin.png"):
        (frames / name).write_bytes(b"1")
    out = frames / "boxes"
    assert fathom("predict", frames, "--model", "demo", "--format", "voc", "-o", out).status == 0
    found = sorted(str(file.relative_to(out)) for file in out.rglob("*.xml"))
    assert found == ["10.xml", "11.xml", "12.xml", "13.xml", "14.xml", "15.xml", "dive/10.xml", "twin.jpg.xml",
                     "twin.png.xml"]  # fmt: skip
    # The answers lie among the images, and are not taken for some.
    (out / "10.png").write_bytes(b"1")
    assert fathom("predict", frames, "--model", "demo", "--format", "picture", "-o", out, "--overwrite").status == 0
    assert len(list(out.rglob("*.png"))) == 9


def test_one_image_is_one_file(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    out = frames.parent / "boxes.xml"
    assert fathom("predict", frames / "10.jpg", "--model", "demo", "--format", "voc", "-o", out).status == 0
    assert "<filename>10.jpg<" in out.read_text()
    ended = fathom("predict", frames / "11.jpg", "--model", "demo", "--format", "voc")
    assert (ended.status, "<filename>11.jpg<" in ended.out) == (0, True)
    assert fathom("predict", frames / "12.jpg", "--model", "demo", "--format", "voc", "-o", out).status == 2
    assert fathom("predict", frames / "12.jpg", "--model", "demo", "--format", "voc", "-o", frames.parent).status == 2


def test_what_is_no_file_in_a_folder_is_left_out_and_a_broken_link_is_told(
    fathom: Fathom, server: FakeServer, frames: Path
) -> None:
    os.mkfifo(frames / "09.jpg")
    (frames / "16.jpg").symlink_to("nowhere")
    ended = fathom("predict", frames, "--model", "demo")
    assert [Path(line["file"]).name for line in lines(ended.out)] == [f"{number}.jpg" for number in range(10, 16)]
    assert (ended.status, ended.err) == (1, f"{frames}/16.jpg: No such file or directory\n1 of 7 images failed\n")


def test_an_image_with_a_long_name_is_answered(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    (frames / f"{'n' * 250}.jpg").write_bytes(b"12")
    out = frames.parent / "out"
    ended = fathom("predict", frames, "--model", "demo", "--format", "voc", "-o", out)
    assert (ended.status, ended.err) == (0, "")
    assert (out / f"{'n' * 250}.xml").exists()


def test_a_device_without_an_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fathom_client.images.MOST_BYTES", 1000)
    with pytest.raises(UnusableImage, match="/dev/zero: 1,001 bytes, more than any server takes"):
        encoded("/dev/zero")


@pytest.mark.parametrize("file_format", ["coco", "coco-dataset", "megadetector"])
def test_names_that_are_no_text_do_not_cost_a_joined_file(
    fathom: Fathom, server: FakeServer, frames: Path, file_format: str
) -> None:
    (frames / "odd-\udcff.jpg").write_bytes(b"12")
    ended = fathom("predict", frames, "--model", "demo", "--format", file_format)
    assert (ended.status, ended.err) == (0, "")
    assert "odd-\\udcff.jpg" in ended.out
    assert json.loads(ended.out)


def test_names_that_no_terminal_can_show_do_no_harm(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    odd = frames / "odd-\udcff.jpg"
    odd.write_bytes(b"bad")
    ended = fathom("predict", odd, frames / "10.jpg", "--model", "demo")
    assert (ended.status, "odd-\\udcff.jpg: the image" in ended.err) == (1, True)
    odd.write_bytes(b"12")
    assert lines(fathom("predict", odd, "--model", "demo").out)[0]["file"] == str(odd)
    assert "odd-?.jpg" in fathom("predict", odd, "--model", "demo", "--format", "voc").out
