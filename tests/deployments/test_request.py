"""Requests refuse what makes no sense, naming field, limit and value."""

from typing import Any

import numpy as np
import pytest

from deployments.errors import InvalidRequest
from deployments.request import Image, Options, Request


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"score_threshold": 1.5}, ["score_threshold", "1.5"]),
        ({"iou_threshold": -0.1}, ["iou_threshold", "-0.1"]),
        ({"score_threshold": float("nan")}, ["score_threshold", "nan"]),
        ({"score_threshold": {"Crab": 0.5, "Fish": 1.5}}, ["score_threshold", "'Fish'", "1.5"]),
        ({"max_detections": 0}, ["max_detections", "0"]),
        ({"max_detections": 1001}, ["max_detections", "1000", "1001"]),
        ({"regions": ()}, ["regions", "1 to 16", "0"]),
        ({"regions": ((0, 0, 1, 1),) * 17}, ["regions", "1 to 16", "17"]),
        ({"regions": ((0, 0, 1, 1), (5, 0, 5, 1))}, ["regions[1]", "x1 < x2", "(5, 0, 5, 1)"]),
        ({"regions": ((-1, 0, 5, 1),)}, ["regions[0]", "0 <= x1", "(-1, 0, 5, 1)"]),
    ],
)
def test_options_name_field_and_value(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Options(**arguments)
    assert all(word in caught.value.message for word in words)


@pytest.mark.parametrize(
    "arguments",
    [
        {"classes": ("a" * 2**20, "b")},
        {"score_threshold": {"a" * 2**20: 0.5, "b": 0.5}},
        {"classes": ("a" * 2**19,), "score_threshold": {"a" * (2**19 + 1): 0.5}},
    ],
)
def test_labels_are_not_longer_than_all_of_a_model(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="labels of 1048577 characters"):
        Options(**arguments)


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, 3601.0, float("nan")])
def test_a_deadline_is_a_positive_span(deadline_s: float) -> None:
    with pytest.raises(InvalidRequest, match="deadline_s"):
        Request(Image.from_encoded(b"x"), deadline_s=deadline_s)


def test_encoded_bytes_are_not_copied() -> None:
    data = bytearray(b"abc")
    image = Image.from_encoded(data)
    assert image.encoded is not None
    data[0] = ord("z")
    assert image.encoded[0] == ord("z")
    assert image.nbytes == 3


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_pixels_must_be_rgb_bytes(pixels: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidRequest, match="uint8"):
        Image.from_pixels(pixels)
