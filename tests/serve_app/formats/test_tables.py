"""The tables of FathomNet and VIAME, read back as their own programs read them."""

import csv
import io
import re

import numpy as np
import pytest
from fathomnet.dto import ABoundingBoxDTO

from serve_app.formats import FORMATS, Answer
from tests.serve_app.formats.sample_answers import (
    BOXES,
    LABELS,
    answer,
    answer_with_label,
    corners,
    detections,
    keypoints,
    masks,
    nothing,
    samples,
)


def fathomnet(answers: list[Answer]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(FORMATS["fathomnet-csv"].write(answers).decode())))


def viame(answers: list[Answer]) -> list[list[str]]:
    """As VIAME's reader does: at commas, without quotes."""
    lines = FORMATS["viame-csv"].write(answers).decode().splitlines()
    assert lines[0].startswith("# 1: Detection or Track-id,2: Video or Image Identifier")
    return [line.split(",") for line in lines[1:]]


def test_fathomnets_columns_are_there_and_their_values_are_whole_pixels() -> None:
    rows = fathomnet(samples())
    assert {"concept", "image", "x", "y", "width", "height"} <= set(rows[0])
    assert [row["image"] for row in rows] == ["frame-1.png"] * 3 + ["frame-3.png"] * 3
    assert [row["concept"] for row in rows[:3]] == list(LABELS)


def test_a_row_is_a_bounding_box_of_fathomnet() -> None:
    boxes = [
        ABoundingBoxDTO(
            concept=row["concept"],
            observer=row["observer"],
            **{side: int(row[side]) for side in ("x", "y", "width", "height")},
        )
        for row in fathomnet([answer(detections())])
    ]
    sides = [(box.x, box.y, box.width, box.height) for box in boxes]
    assert sides == [(10, 21, 50, 60), (100, 5, 100, 115), (150, 30, 1, 1)]
    assert boxes[0].observer == "benthic-demo revision 3"


def test_a_frame_without_animals_is_a_table_without_rows() -> None:
    assert fathomnet([answer(nothing())]) == []
    assert viame([answer(nothing())]) == []


def test_viames_columns() -> None:
    rows = viame(samples())
    assert rows[0] == ["0", "frame-1.png", "0", "10.40", "20.60", "60.20", "80.90", "0.91", "-1", "Sea star", "0.91"]
    assert [row[0] for row in rows] == list("012345")
    assert [row[2] for row in rows] == ["0", "0", "0", "2", "2", "2"]
    assert rows[1][9] == "Fish; 'small' <juvenile> & co"
    for row, box in zip(rows, BOXES, strict=False):
        x1, y1, x2, y2 = map(float, row[3:7])
        assert x1 < x2
        assert y1 < y2
        assert (x1, y1) == pytest.approx(box[:2], abs=0.5)


def test_viames_outlines_and_points() -> None:
    number = r"-?[0-9]+\.*-?[0-9]*"  # as DIVE's reader has it
    rows = viame([answer(detections(masks=masks(), keypoints=keypoints()))])
    assert rows[0][11:13] == ["(kp) 1 10.4 20.6", "(kp) 2 15.4 25.6"]
    assert re.fullmatch(rf"\(poly\)( {number} {number}){{3,}}", rows[0][13])
    outline = np.array(rows[0][13].split()[1:], float).reshape(-1, 2)
    assert outline.min(axis=0) == pytest.approx([12, 28], abs=2)
    assert len(rows[2]) == 13, "an outline needs three corners"
    turned = viame([answer(detections(corners=corners()))])
    assert turned[0][11] == "(poly) 35.3 20.6 60.2 50.8 35.3 80.9 10.4 50.8"


def test_a_label_in_brackets_is_no_attribute_of_viame() -> None:
    assert viame([answer_with_label("(poly) 1 2 3")])[0][9] == "[poly) 1 2 3"
