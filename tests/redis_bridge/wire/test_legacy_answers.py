"""What the legacy wire answers, byte by byte: detections, scores, texts of others, errors."""

import numpy as np
import orjson
import pytest

from deployments.errors import ServingError, all_error_types
from deployments.prediction import ClassScores, Detections, Opaque, Prediction
from redis_bridge.wire import job_format


def prediction(result: Detections | ClassScores) -> Prediction:
    return Prediction(result, (100, 200), "demo", "1")


def test_detections_are_answered_in_the_legacy_bytes() -> None:
    detections = Detections(
        np.array([[1.5, 2, 30, 40.25], [0, 0, 10, 10]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([1, 0], np.int32),
        ("Sea star", "Röhrenwurm"),
    )
    assert (
        job_format.answer(prediction(detections))
        == (
            '[{"category_id":"Sea star","scores":[0.75],"bbox":[1.5,2.0,30.0,40.25]},'
            '{"category_id":"Röhrenwurm","scores":[0.5],"bbox":[0.0,0.0,10.0,10.0]}]'
        ).encode()
    )


def test_nothing_found_is_an_empty_list() -> None:
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ())
    assert job_format.answer(prediction(empty)) == b"[]"


def test_a_classifier_answers_its_scores() -> None:
    scores = ClassScores(np.array([0.25, 0.75], np.float32), ("a", "b"))
    assert job_format.answer(prediction(scores)) == b'[{"scores":[0.25,0.75]}]'


def test_an_external_answer_is_handed_through_untouched() -> None:
    assert job_format.answer(Opaque(b' {"bboxes": []}\n', "coral")) == b' {"bboxes": []}\n'


@pytest.mark.parametrize("error_type", list(all_error_types()))
def test_an_error_is_an_object_with_code_and_message(error_type: type[ServingError]) -> None:
    answer = orjson.loads(job_format.answer(error_type("what is wrong")))
    assert answer == {"error": {"code": error_type.code, "message": "what is wrong"}}
