"""Boxes in the units that formats want. Everywhere inside the image, and at least one pixel wide and high."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deployments.legacy_answer import boxes_with_area
from deployments.prediction import Detections
from serve_app.formats.contract import Answer, detections_in
from serve_app.formats.file_names import base_name, plain

PX_DIGITS = 3
SCORE_DIGITS = 5
PART_DIGITS = 6
"""Digits after the point of a part of the image's width or height: 1/15 px of the widest image."""


class Corners(NamedTuple):
    """x1, y1, x2, y2."""

    x1: float
    y1: float
    x2: float
    y2: float

    def span(self, digits: int) -> list[float]:
        """x, y, width, height, rounded."""
        x, y = round(self.x1, digits), round(self.y1, digits)
        return [x, y, round(round(self.x2, digits) - x, digits), round(round(self.y2, digits) - y, digits)]


class Found(NamedTuple):
    """One detection. row: its place in the Detections. box: in pixels of the image; whole_px: rounded to whole ones;
    parts: as parts of the image's width and height."""

    row: int
    label: str
    class_id: int
    score: float
    box: Corners
    whole_px: tuple[int, int, int, int]
    parts: Corners


class ImageRows(NamedTuple):
    """One image's detections. number: from 1, in the order of the request. size_px: height, width."""

    number: int
    file_name: str
    size_px: tuple[int, int]
    detections: Detections
    found: list[Found]
    by: str

    @property
    def height_px(self) -> int:
        """Of the image."""
        return self.size_px[0]

    @property
    def width_px(self) -> int:
        """Of the image."""
        return self.size_px[1]


def image_rows(answers: Sequence[Answer], name: str) -> Iterator[ImageRows]:
    """The detections of each image, best first. Raises InvalidRequest where a model answers anything else, which
    format `name` cannot express."""
    for number, answer in enumerate(answers, 1):
        detections = detections_in(answer, name)
        size = answer.prediction.image_size_px
        found = list(_found(detections, size))
        yield ImageRows(number, base_name(answer.file_name, number), size, detections, found, made_by(answer))


def made_by(answer: Answer) -> str:
    """The model and its revision, in words."""
    return plain(f"{answer.prediction.model} revision {answer.prediction.revision}")


def label_of(text: str) -> str:
    """A label as every format writes it: in one line, and never empty."""
    return plain(text) or "unnamed"


def _found(detections: Detections, size_px: tuple[int, int]) -> Iterator[Found]:
    boxes = boxes_with_area(detections.boxes, size_px).astype(np.float64)
    whole = np.rint(boxes).astype(int).tolist()
    parts = boxes / np.array([size_px[1], size_px[0]] * 2, np.float64)
    class_ids, scores = detections.class_ids.tolist(), detections.scores.astype(float).tolist()
    for row, label in enumerate(detections.labels):
        score = round(scores[row], SCORE_DIGITS)
        box, part = Corners(*boxes[row].tolist()), Corners(*parts[row].tolist())
        yield Found(row, label_of(label), class_ids[row], score, box, tuple(whole[row]), part)
