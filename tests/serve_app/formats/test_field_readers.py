"""What supervision, kwcoco, DIVE and MegaDetector read in our files, as `read_by_field_readers.py` recorded it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.serve_app.formats import sample_answers
from tests.serve_app.formats.read_by_field_readers import RECORD, digest

RECORDED: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))
WHOLE = [[10, 21, 60, 81], [100, 5, 200, 120], [150, 30, 151, 31]]
EXACT = [[10.4, 20.6, 60.2, 80.9], [100, 5, 200, 120], [150, 30, 151, 31]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("samples")
    sample_answers.main(made)
    return made


def read_by(reader: str) -> dict[str, Any]:
    """File -> what this one read in it."""
    return {one["file"]: one["read"] for one in RECORDED if one["reader"] == reader}


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: f"{one['reader']}-{one['file']}")
def test_the_files_are_those_that_were_read(folder: Path, recorded: dict[str, Any]) -> None:
    assert digest(folder / recorded["file"]) == recorded["sha256"], "read them again: read_by_field_readers.py"


def test_megadetectors_validator_has_nothing_to_say_and_its_loader_finds_all() -> None:
    read = read_by("megadetector")
    assert [(one["errors"], one["warnings"]) for one in read.values()] == [([], [])] * 2
    images = read["megadetector.json"]["images"]
    assert [(name, best, len(found)) for name, best, found in images] == [
        ("frame-1.png", 0.91, 3),
        ("frame-2.png", 0.0, 0),
        ("frame-3.png", 0.91, 3),
    ]
    ((_, best, (whole,)),) = read["megadetector-classes.json"]["images"]
    assert (best, whole["classifications"][0]) == (0.7, ["2", 0.7])


def test_supervision_reads_voc_in_whole_pixels_and_coco_in_parts_of_them() -> None:
    read = read_by("supervision")
    for file, boxes in (("voc.zip", WHOLE), ("coco-dataset.json", EXACT)):
        assert {name: len(found) for name, found in read[file].items()} == {
            "frame-1.png": 3,
            "frame-2.png": 0,
            "frame-3.png": 3,
        }
        labels, corners = zip(*read[file]["frame-1.png"], strict=True)
        assert labels == sample_answers.LABELS
        assert [pytest.approx(box, abs=0.01) for box in boxes] == list(corners)


def test_kwcoco_finds_no_fault() -> None:
    read = read_by("kwcoco")
    assert [one["errors"] for one in read.values()] == [[], []]
    assert read["coco-dataset.json"]["names"] == list(sample_answers.LABELS) * 2


def test_dive_reads_viames_table_with_its_outlines() -> None:
    read = read_by("dive")["viame.csv"]
    assert read["warnings"] == []
    assert [track[0] for track in read["tracks"]] == [0, 0, 0]
    assert [track[1] for track in read["tracks"]] == [
        [["Sea star", 0.91]],
        [["Fish; 'small' <juvenile> & co", 0.5]],
        [["Crab", 0.25]],
    ]
    assert read["tracks"][0][2] == [10, 21, 60, 81]
    assert [track[3] for track in read["tracks"]] == [["Polygon"], ["Polygon"], []]
