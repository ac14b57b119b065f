"""What counts as a wrong answer, and what can be set; no load is made here."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from loadtests.answers import http_reason, redis_reason
from loadtests.frames import job_template, sample_frames
from loadtests.options import load_options

DETECTION = {"category_id": "Sea star", "scores": [0.9], "bbox": [1, 2, 30, 40]}


@pytest.mark.parametrize("rows", [[], [DETECTION], [DETECTION, DETECTION]])
def test_a_list_of_predictions_is_right_at_both_doors(rows: list[Any]) -> None:
    assert http_reason(200, orjson.dumps({"success": True, "predictions": rows, "model": "m"})) is None
    assert redis_reason(orjson.dumps(rows)) is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, "not a list of predictions"),
        ({"error": {"code": "internal", "message": "it broke"}}, "it broke"),
        ([{"scores": [0.9], "bbox": [1, 2, 3, 4]}], "without category_id"),
        ([{**DETECTION, "scores": []}], "without category_id or scores"),
        ([{**DETECTION, "bbox": [1, 2, 3]}], "box of four"),
        ([[0.1, 0.2]], "without category_id"),
    ],
)
def test_anything_else_does_not_count_at_either_door(rows: Any, words: str) -> None:
    assert words in str(http_reason(200, orjson.dumps({"success": True, "predictions": rows})))
    assert words in str(redis_reason(orjson.dumps(rows)))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "no success"),
        (200, b'{"success": false, "predictions": []}', "no success"),
        (503, b'{"detail": "it sleeps"}', "status 503: it sleeps"),
        (502, b"Bad Gateway", "Bad Gateway"),
    ],
)
def test_a_failure_of_http_does_not_count(status: int, body: bytes, words: str) -> None:
    assert words in str(http_reason(status, body))


def test_options_come_from_the_environment_and_wrong_ones_are_refused() -> None:
    options = load_options({"LOADTEST_MODEL": "benthic-demo", "LOADTEST_MAX_P95_S": "2", "HOME": "/root"})
    assert (options.model, options.max_p95_s, options.max_failed_ratio) == ("benthic-demo", 2.0, 0.0)
    with pytest.raises(ValidationError, match="modle"):
        load_options({"LOADTEST_MODLE": "x"})
    with pytest.raises(ValidationError, match="max_failed_ratio"):
        load_options({"LOADTEST_MAX_FAILED_RATIO": "2"})


def test_a_job_is_valid_json_with_the_id_first() -> None:
    job = orjson.loads(job_template(sample_frames()[0]).job('a "quoted" id'))
    assert list(job) == ["id", "image", "height", "width"]
    assert job["id"] == 'a "quoted" id'
