"""Answers of many requests become one file in which nothing is counted twice."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO

from fathom_client import UnexpectedAnswer
from fathom_client.command.joining import JOINED, Part, join
from tests.client.command.conftest import Fathom
from tests.client.fake_server import FakeServer

FRAMES = ["10.jpg", "11.jpg", "12.jpg", "13.jpg", "14.jpg", "15.jpg"]


def document(content: Any) -> bytes:
    return json.dumps(content).encode()


@pytest.fixture
def written(fathom: Fathom, server: FakeServer, frames: Path) -> Any:
    def run(file_format: str) -> str:
        out = frames.parent / "out"
        ended = fathom("predict", frames, "--model", "demo", "--format", file_format, "-o", out)
        assert (ended.status, ended.err) == (0, "")
        assert fathom("predict", frames, "--model", "demo", "--format", file_format).out == out.read_bytes().decode()
        return out.read_text()

    return run


def test_csv_has_one_header(written: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(written("fathomnet-csv"))))
    assert [row["image"] for row in rows] == FRAMES


def test_viame_has_one_head_and_each_track_and_frame_once(written: Any) -> None:
    lines = written("viame-csv").splitlines()
    assert [line[:4] for line in lines if line.startswith("#")] == ["# 1:", "# wr"]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    assert [row[:4] for row in rows] == [[str(at), name, str(at), "1"] for at, name in enumerate(FRAMES)]


@pytest.mark.parametrize("file_format", ["vars", "tator"])
def test_lists_become_one(written: Any, file_format: str) -> None:
    assert [row["media"] for row in json.loads(written(file_format))] == FRAMES


@pytest.mark.parametrize("file_format", ["fathomnet-csv", "viame-csv", "vars", "tator"])
def test_images_that_only_their_folders_tell_apart_are_not_mixed(
    fathom: Fathom, server: FakeServer, frames: Path, file_format: str
) -> None:
    (frames / "dive").mkdir()
    (frames / "dive" / "12.jpg").write_bytes(b"12")
    ended = fathom("predict", frames, "--model", "demo", "--format", file_format)
    assert (ended.status, "several images are called 12.jpg" in ended.err) == (2, True)


def test_coco_results_tell_the_images_apart(written: Any, frames: Path) -> None:
    rows = json.loads(written("coco"))
    assert [(row["image_id"], row["file_name"]) for row in rows] == [
        (at, f"{frames}/{name}") for at, name in enumerate(FRAMES, 1)
    ]


def test_a_coco_dataset_has_each_number_once(written: Any, frames: Path) -> None:
    dataset = json.loads(written("coco-dataset"))
    assert [(row["id"], row["file_name"]) for row in dataset["images"]] == [
        (at, f"{frames}/{name}") for at, name in enumerate(FRAMES, 1)
    ]
    assert [(row["id"], row["image_id"]) for row in dataset["annotations"]] == [(at, at) for at in range(1, 7)]
    names = {row["id"]: row["name"] for row in dataset["categories"]}
    assert names == {1: "Fish", 2: "Crab"}
    assert [names[row["category_id"]] for row in dataset["annotations"]] == ["Fish", "Crab"] * 3
    assert dataset["info"] == {"description": "fake"}


def test_megadetector_has_one_list_of_categories(written: Any, frames: Path) -> None:
    results = json.loads(written("megadetector"))
    names = results["detection_categories"]
    seen = [(image["file"], names[image["detections"][0]["category"]]) for image in results["images"]]
    assert seen == [(f"{frames}/{name}", ("Fish", "Crab")[at % 2]) for at, name in enumerate(FRAMES)]


def test_a_name_keeps_its_number_where_that_is_free() -> None:
    def part(number: int, *categories: tuple[int, str]) -> Part:
        rows = [{"id": at, "name": name} for at, name in categories]
        notes = [{"id": 1, "image_id": 1, "category_id": at} for at, _ in categories]
        content = {"images": [{"id": 1, "file_name": "x"}], "annotations": notes, "categories": rows}
        return Part(number, f"{number}.jpg", document(content))

    joined = json.loads(
        join("coco-dataset", [part(3, (7, "Fish"), (2, "Crab")), part(9, (7, "Sponge"), (2, "Crab"))])
    )
    assert {row["name"]: row["id"] for row in joined["categories"]} == {"Fish": 7, "Crab": 2, "Sponge": 8}
    assert [row["category_id"] for row in joined["annotations"]] == [7, 2, 8, 2]
    assert [row["image_id"] for row in joined["annotations"]] == [3, 3, 9, 9]


def test_rows_with_a_byte_order_mark_or_without_an_end_are_joined() -> None:
    parts = [Part(1, "a", b"\xef\xbb\xbfx,y\r\n1,2"), Part(2, "b", b"x,y\n"), Part(3, "c", b"x,y\n3,4\n")]
    assert join("fathomnet-csv", parts) == b"x,y\r\n1,2\n3,4\n"


@pytest.mark.parametrize(
    ("file_format", "first", "second"),
    [
        ("fathomnet-csv", b"a,b\n1,2\n", b"a,c\n1,2\n"),
        ("viame-csv", b"1,2\n", b"\xff\n"),
        ("coco", document([{"image_id": 1}]), document([{}])),
        ("coco", document([{"image_id": "a.jpg"}]), b"[]"),
        ("vars", b"[]", b"{}"),
        ("coco-dataset", document({"images": []}), b"{}"),
        ("megadetector", b"[", b"["),
        (
            "megadetector",
            document({"classification_categories": {"1": "a"}, "detection_categories": {}, "images": [{}]}),
            document({"classification_categories": {"1": "b"}, "detection_categories": {}, "images": [{}]}),
        ),
    ],
)
def test_what_cannot_be_joined_right_is_not_joined(file_format: str, first: bytes, second: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        join(file_format, [Part(1, "a", first), Part(2, "b", second)])


def test_parts_stay_while_one_is_missing(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    odd = frames / "odd"
    odd.write_bytes(b"bad")
    out = frames.parent / "out"
    ended = fathom("predict", odd, frames / "10.jpg", "--model", "demo", "--format", "coco", "-o", out)
    assert ended.status == 1
    assert len(json.loads(out.read_text())) == 1
    assert len(list(frames.parent.glob("out.parts/*.json"))) == 1


@pytest.mark.parametrize("file_format", sorted(JOINED))
def test_what_the_server_writes_is_joined(file_format: str, tmp_path: Path) -> None:
    parts = [Part(at + 1, f"dive/{at}.png", written_by_the_server(file_format, f"{at}.png", at)) for at in range(4)]
    content = join(file_format, parts)
    if file_format == "coco-dataset":
        (tmp_path / "dataset.json").write_bytes(content)
        dataset = COCO(str(tmp_path / "dataset.json"))
        assert [dataset.imgs[number]["file_name"] for number in dataset.getImgIds()] == [part.name for part in parts]
        assert [row["image_id"] for row in dataset.anns.values()] == [2, 3, 3, 4, 4, 4]
        assert {row["name"] for row in dataset.cats.values()} == {"Fish", "Crab", "Sea, star"}
    elif file_format == "megadetector":
        document = json.loads(content)
        assert [len(image["detections"]) for image in document["images"]] == [0, 1, 2, 3]
        assert sorted(document["detection_categories"].values()) == ["Crab", "Fish", "Sea, star"]
    elif file_format.endswith("csv"):
        rows = list(csv.reader(line for line in content.decode().splitlines() if not line.startswith("#")))
        assert len(rows) == 6 + (file_format == "fathomnet-csv")
        assert {row[1] for row in rows} - {"image"} == {"1.png", "2.png", "3.png"}
    else:
        assert len(json.loads(content)) == (4 if file_format == "tator" else 6)


def written_by_the_server(file_format: str, name: str, count: int) -> bytes:
    """The server's own file for an image with so many animals."""
    from deployments.prediction import Detections, Prediction
    from serve_app.formats import FORMATS
    from serve_app.formats.contract import Answer

    boxes = np.array([[at, at, at + 10, at + 20] for at in range(count)], np.float32).reshape(count, 4)
    labels = ("Fish", "Crab", "Sea, star")[:count]
    found = Detections(
        boxes, np.linspace(0.9, 0.5, count, dtype=np.float32), np.arange(count, dtype=np.int32), labels
    )
    return FORMATS[file_format].write([Answer(name, Prediction(found, (540, 960), "demo", "1"), None)])
