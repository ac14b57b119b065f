"""What VARS and Tator are sent, checked by the rules that their own programs check it by."""

import json
from typing import Any

import jsonschema
import pytest

from serve_app.formats import FORMATS
from tests.serve_app.formats.sample_answers import LABELS, SIZE_PX, answer, detections, nothing, samples

PART = {"type": "number", "minimum": 0.0, "maximum": 1.0}

LOCALIZATION = {
    "type": "object",
    "required": ["media_id", "type", "frame"],
    "properties": {
        "media_id": {"type": "integer"},
        "type": {"type": "integer"},
        "frame": {"type": "integer"},
        "attributes": {"type": "object"},
        **dict.fromkeys(("x", "y", "width", "height"), PART),
    },
    "additionalProperties": False,
}
"""Tator's `LocalizationSpec`, as far as boxes use it."""


def boxes_of_vars(written: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Concept and box of each annotation, as vars-gridview validates them."""
    boxes = []
    for annotation in json.loads(written):
        assert annotation["observer"]
        (association,) = annotation["associations"]
        assert association["link_name"] == "bounding box"
        assert (association["to_concept"], association["mime_type"]) == ("self", "application/json")
        box = json.loads(association["link_value"])
        assert all(isinstance(box[side], int) for side in ("x", "y", "width", "height"))
        assert min(box["width"], box["height"]) > 0
        assert min(box["x"], box["y"]) >= 0
        boxes.append((annotation["concept"], box))
    return boxes


def test_vars_gets_an_annotation_for_each_box() -> None:
    found = boxes_of_vars(FORMATS["vars"].write(samples()))
    assert [concept for concept, _ in found] == list(LABELS) * 2
    assert found[0][1] == {
        "x": 10,
        "y": 21,
        "width": 50,
        "height": 60,
        "confidence": 0.91,
        "generator": "fathomnet-serve benthic-demo revision 3",
        "image": "frame-1.png",
    }
    assert found[2][1]["width"] == 1, "a box thinner than a pixel"


def test_tator_gets_localizations_as_parts_of_the_image() -> None:
    written = json.loads(FORMATS["tator"].write(samples()))
    assert [(one["media"], len(one["localizations"])) for one in written] == [
        ("frame-1.png", 3),
        ("frame-2.png", 0),
        ("frame-3.png", 3),
    ]
    for localization in written[0]["localizations"]:
        jsonschema.validate(localization | {"media_id": 1, "type": 2}, LOCALIZATION)
    first = written[0]["localizations"][0]
    height, width = SIZE_PX
    sides = [first["x"] * width, first["y"] * height, first["width"] * width, first["height"] * height]
    assert sides == pytest.approx([10.4, 20.6, 49.8, 60.3], abs=0.01)
    assert first["attributes"] == {"Label": "Sea star", "Confidence": 0.91, "Model": "benthic-demo revision 3"}


def test_frames_without_animals() -> None:
    assert boxes_of_vars(FORMATS["vars"].write([answer(nothing())])) == []
    assert json.loads(FORMATS["tator"].write([answer(nothing())]))[0]["localizations"] == []


def test_no_part_is_larger_than_the_image() -> None:
    edge = json.loads(FORMATS["tator"].write([answer(detections())]))[0]["localizations"][1]
    assert (edge["x"] + edge["width"], edge["y"] + edge["height"]) == pytest.approx((1, 1), abs=1e-9)
