"""The shapes of answers, byte by byte."""

import json
from dataclasses import replace

import numpy as np
import pytest

from deployments.errors import InvalidRequest
from deployments.prediction import ClassScores, Detections, Embedding, Masks, Prediction, Result
from redis_bridge.wire import answers
from redis_bridge.wire.json_encoding import JSON
from redis_bridge.wire.profiles import AnswerFormat, QueueProfile

FOUND = Detections(
    np.array([[1.5, 2, 30, 40.25], [0, 0, 10, 20], [100, 50, 120, 75]], np.float32),
    np.array([0.75, 0.5, 0.25], np.float32),
    np.array([3, 0, 3], np.int32),
    ("Sea star", "Röhrenwurm", "Sea star"),
)
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ())
SCORES = ClassScores(np.array([0.125, 0.5, 0.25, 0.0625, 0.03125, 0.03125], np.float32), tuple("abcdef"))

OF_FOUND = {
    "detections": """
        [{"category_id":"Sea star","scores":[0.75],"bbox":[1.5,2.0,30.0,40.25]},
        {"category_id":"Röhrenwurm","scores":[0.5],"bbox":[0.0,0.0,10.0,20.0]},
        {"category_id":"Sea star","scores":[0.25],"bbox":[100.0,50.0,120.0,75.0]}]""",
    "detections-nested-scores": """
        [{"category_id":"Sea star","scores":[[0.75]],"bbox":[1.5,2.0,30.0,40.25]},
        {"category_id":"Röhrenwurm","scores":[[0.5]],"bbox":[0.0,0.0,10.0,20.0]},
        {"category_id":"Sea star","scores":[[0.25]],"bbox":[100.0,50.0,120.0,75.0]}]""",
    "detections-box-as-text": """
        [{"category_id":"Sea star","scores":[0.75],"bbox":"[1.5, 2.0, 30.0, 40.25]"},
        {"category_id":"Röhrenwurm","scores":[0.5],"bbox":"[0.0, 0.0, 10.0, 20.0]"},
        {"category_id":"Sea star","scores":[0.25],"bbox":"[100.0, 50.0, 120.0, 75.0]"}]""",
    "detections-as-text": """
        [{"category_id":"Sea star","scores":["0.75"],"bbox":"[1.5, 2.0, 28.5, 38.25]"},
        {"category_id":"Röhrenwurm","scores":["0.5"],"bbox":"[0.0, 0.0, 10.0, 20.0]"},
        {"category_id":"Sea star","scores":["0.25"],"bbox":"[100.0, 50.0, 20.0, 25.0]"}]""",
    "label-probability": """
        [{"label":"Sea star","probability":0.75},
        {"label":"Röhrenwurm","probability":0.5}]""",
    "xywh-score-class": """
        [{"xywh":[[1.5,2.0,28.5,38.25]],"score":0.75,"class":3.0},
        {"xywh":[[0.0,0.0,10.0,20.0]],"score":0.5,"class":0.0},
        {"xywh":[[100.0,50.0,20.0,25.0]],"score":0.25,"class":3.0}]""",
    "label-confidence-box": """
        [{"label":"Sea star","confidence":0.75,"box":[1.5,2.0,30.0,40.25]},
        {"label":"Röhrenwurm","confidence":0.5,"box":[0.0,0.0,10.0,20.0]},
        {"label":"Sea star","confidence":0.25,"box":[100.0,50.0,120.0,75.0]}]""",
    "boxes-and-confidences": """
        {"bboxes":[[1.5,2.0,30.0,40.25],[0.0,0.0,10.0,20.0],[100.0,50.0,120.0,75.0]],
        "confidences":[0.75,0.5,0.25]}""",
    "segments": """
        [{"box":[{"x":1.5,"y":2.0,"w":28.5,"h":38.25},
        {"x":0.0,"y":0.0,"w":10.0,"h":20.0},
        {"x":100.0,"y":50.0,"w":20.0,"h":25.0}],
        "score":[0.75,0.5,0.25],
        "poly":[[[2,2],[30,2],[30,40],[2,40]],[[0,0],[10,0],[10,20],[0,20]],[[100,50],[120,50],[120,75],[100,75]]]}]""",
    "outlines": """
        [[[0.0075,0.02],[0.15,0.02],[0.15,0.4025],[0.0075,0.4025]],
        [[0.0,0.0],[0.05,0.0],[0.05,0.2],[0.0,0.2]],
        [[0.5,0.5],[0.6,0.5],[0.6,0.75],[0.5,0.75]]]""",
    "one-outline": "[[2,2],[30,2],[30,40],[2,40]]",
}
"""Answer format -> the text for FOUND, line breaks between parts left out."""

OF_NOTHING = {
    "boxes-and-confidences": b'{"bboxes":[],"confidences":[]}',
    "segments": b'[{"box":[],"score":[],"poly":[]}]',
}
"""The formats whose answer for nothing found is not an empty list."""

BOXES_ONLY = [
    "xywh-score-class",
    "label-confidence-box",
    "boxes-and-confidences",
    "segments",
    "outlines",
    "one-outline",
]


def text(result: Result, answer: str, top_classes: int = 5) -> bytes:
    profile = QueueProfile.model_validate({"answer": answer, "top_classes": top_classes})
    return JSON.write(answers.answer_value(Prediction(result, (100, 200), "demo", "1"), profile))


def joined(lines: str) -> bytes:
    return "".join(line.strip() for line in lines.splitlines()).encode()


@pytest.mark.parametrize("answer", list(OF_FOUND))
def test_detections_have_the_bytes_of_their_format(answer: str) -> None:
    assert text(FOUND, answer) == joined(OF_FOUND[answer])


@pytest.mark.parametrize("answer", list(OF_FOUND))
def test_nothing_found_is_an_answer_in_every_format(answer: str) -> None:
    assert text(NOTHING, answer) == OF_NOTHING.get(answer, b"[]")


def test_every_format_is_tested_and_told() -> None:
    assert set(AnswerFormat) == {*OF_FOUND, "class-scores"}
    assert answers.__doc__
    assert all(f"\n    {answer} " in answers.__doc__ for answer in AnswerFormat)


def test_a_classifier_answers_its_best_labels_with_probabilities() -> None:
    assert text(SCORES, "label-probability", top_classes=3) == (
        b'[{"label":"b","probability":0.5},{"label":"c","probability":0.25},{"label":"a","probability":0.125}]'
    )
    assert text(SCORES, "label-probability").count(b"label") == 5


@pytest.mark.parametrize("answer", ["class-scores", "detections", "detections-nested-scores", "detections-as-text"])
def test_a_classifier_answers_one_row_of_scores_in_the_order_of_its_labels(answer: str) -> None:
    assert text(SCORES, answer) == b'[{"scores":[0.125,0.5,0.25,0.0625,0.03125,0.03125]}]'


@pytest.mark.parametrize("answer", BOXES_ONLY)
def test_a_classifier_has_no_boxes_to_answer(answer: str) -> None:
    with pytest.raises(InvalidRequest, match=f"answers {answer}, which needs boxes, but model demo"):
        text(SCORES, answer)


def test_a_detector_has_no_row_of_scores_to_answer() -> None:
    with pytest.raises(InvalidRequest, match="answers class-scores, which needs a score of every class"):
        text(FOUND, "class-scores")


@pytest.mark.parametrize("answer", ["detections", "detections-nested-scores", "detections-as-text"])
def test_an_embedding_is_one_row_of_numbers(answer: str) -> None:
    assert text(Embedding(np.array([0.5, -1.5], np.float32)), answer) == b'[{"embedding":[0.5,-1.5]}]'


@pytest.mark.parametrize(
    ("answer", "needed"),
    [
        *((one, "boxes") for one in BOXES_ONLY),
        ("class-scores", "a score of every class"),
        ("label-probability", "labels"),
    ],
)
def test_an_embedding_has_neither_boxes_nor_labels(answer: str, needed: str) -> None:
    with pytest.raises(InvalidRequest, match=f"answers {answer}, which needs {needed}, but model demo answers an"):
        text(Embedding(np.zeros(2, np.float32)), answer)


def test_outlines_are_those_of_the_masks_and_of_the_box_where_a_mask_has_none() -> None:
    triangle, nothing = np.tril(np.ones((50, 100), bool)), np.zeros((50, 100), bool)
    with_masks = replace(FOUND, masks=Masks.of(3, [triangle, nothing, nothing].__getitem__, (50, 100)))
    boxes = [[[0, 0], [10, 0], [10, 20], [0, 20]], [[100, 50], [120, 50], [120, 75], [100, 75]]]
    assert json.loads(text(with_masks, "segments"))[0]["poly"] == [[[0, 0], [0, 98], [98, 98]], *boxes]
    assert json.loads(text(with_masks, "one-outline")) == [[0, 0], [0, 98], [98, 98]]
    assert json.loads(text(with_masks, "outlines"))[0] == [[0, 0], [0, 0.98], [0.49, 0.98]]


def test_outlines_are_the_corners_of_rotated_boxes_kept_inside_the_image() -> None:
    corners = np.array([[[50, -5], [60, 10], [50, 20], [40, 10]]] * 3, np.float32)
    rotated = replace(FOUND, corners=corners)
    assert json.loads(text(rotated, "one-outline")) == [[50, 0], [60, 10], [50, 20], [40, 10]]


def test_boxes_stay_inside_the_image_in_every_format() -> None:
    outside = Detections(
        np.array([[-5, -5, 900, 50]], np.float32),
        np.array([0.5], np.float32),
        np.array([0], np.int32),
        ("Sea star",),
    )
    assert text(outside, "boxes-and-confidences") == b'{"bboxes":[[0.0,0.0,200.0,50.0]],"confidences":[0.5]}'
    assert text(outside, "outlines") == b"[[[0.0,0.0],[1.0,0.0],[1.0,0.5],[0.0,0.5]]]"
