"""The batch output of MegaDetector, by the rules of its own validator, whose word is in field_readers.json."""

import json
from typing import Any

import numpy as np
import pytest

from deployments.prediction import ClassScores
from serve_app.formats import FORMATS, Answer
from tests.serve_app.formats.sample_answers import answer, classes, detections, samples


def read(answers: list[Answer]) -> dict[str, Any]:
    """The file, if its members are as the validator wants them."""
    written: dict[str, Any] = json.loads(FORMATS["megadetector"].write(answers))
    assert isinstance(written["info"]["format_version"], str)
    assert float(written["info"]["format_version"]) >= 1.3
    for kind in ("detection_categories", "classification_categories"):
        assert all(int(number) > 0 and name.strip() for number, name in written.get(kind, {}).items())
    for image in written["images"]:
        for one in image["detections"]:
            assert one["category"] in written["detection_categories"]
            assert isinstance(one["conf"], float)
            assert all(0 <= side <= 1 for side in one["bbox"])
            scores = [score for _, score in one.get("classifications", [])]
            assert scores == sorted(scores, reverse=True)
    return written


def test_detections_are_parts_of_the_image() -> None:
    written = read(samples())
    assert written["info"] == {"format_version": "1.6", "detector": "benthic-demo revision 3"}
    assert written["detection_categories"] == {"1": 'Fish, "small" <juvenile> & co', "3": "Crab", "5": "Sea star"}
    assert [(one["file"], len(one["detections"])) for one in written["images"]] == [
        ("frame-1.png", 3),
        ("frame-2.png", 0),
        ("frame-3.png", 3),
    ]
    first = written["images"][0]["detections"][0]
    assert (first["category"], first["conf"]) == ("5", 0.91)
    assert first["bbox"] == pytest.approx([0.052, 20.6 / 120, 0.249, 60.3 / 120], abs=1e-5)


def test_a_classifiers_scores_are_those_of_the_whole_image() -> None:
    written = read([answer(classes())])
    assert written["info"]["classifier"] == "benthic-demo revision 3"
    assert written["classification_categories"] == {"1": "Copepod", "2": "Diatom", "3": "Other"}
    (found,) = written["images"][0]["detections"]
    assert found == {
        "category": "1",
        "conf": 0.7,
        "bbox": [0, 0, 1, 1],
        "classifications": [["2", 0.7], ["1", 0.2], ["3", 0.1]],
    }
    assert written["detection_categories"] == {"1": "animal"}


def test_a_score_of_one_is_still_a_fraction() -> None:
    sure = ClassScores(np.array([1.0], np.float32), ("Krill",))
    assert b'"conf":1.0' in FORMATS["megadetector"].write([answer(sure)])
    assert read([answer(detections())])
