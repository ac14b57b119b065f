"""The largest answer of a model fits a call between processes, which has a limit of 4 MiB."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from ray import cloudpickle

from deployments.classes.labels import MAX_LABELS, MAX_LABELS_BYTES
from deployments.client.call_batching import MAX_REQUESTS_A_CALL
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.synthetic.fixed_answer import FixedAnswer
from deployments.prediction import ClassScores, Detections, Outcome, Prediction
from deployments.request import MAX_DETECTIONS_LIMIT
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.support.no_meter import NoMeter

CALL_LIMIT_BYTES = 4 * 2**20
LABELS = tuple(f"{number:05}".ljust(MAX_LABELS_BYTES // MAX_LABELS, "x") for number in range(MAX_LABELS))


def prediction(result: Detections | ClassScores, number: int) -> Prediction:
    return Prediction(result, (2160 + number, 3840), "a-model-with-a-name-of-forty-characters", "revision" * 10)


def detections(number: int) -> Detections:
    count = MAX_DETECTIONS_LIMIT
    class_ids = ((np.arange(count) + number * count) % MAX_LABELS).astype(np.int32)
    names = tuple(LABELS[index] for index in class_ids)
    return Detections(np.ones((count, 4), np.float32), np.ones(count, np.float32), class_ids, names)


def class_scores(number: int) -> ClassScores:
    return ClassScores(np.full(MAX_LABELS, number, np.float32), LABELS)


@pytest.mark.parametrize("result", [detections, class_scores])
def test_the_largest_answer_to_a_call_is_below_the_limit(result: type[Detections] | type[ClassScores]) -> None:
    outcomes: Sequence[Outcome] = [prediction(result(number), number) for number in range(MAX_REQUESTS_A_CALL)]  # type: ignore[call-arg,arg-type]
    assert len(cloudpickle.dumps(outcomes)) < CALL_LIMIT_BYTES
    assert len(pickle.dumps(outcomes, protocol=pickle.HIGHEST_PROTOCOL)) < CALL_LIMIT_BYTES


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ((*LABELS, "one more"), f"labels: {MAX_LABELS + 1} classes, the limit is {MAX_LABELS}"),
        (("x" * (MAX_LABELS_BYTES + 1),), f"have {MAX_LABELS_BYTES + 1} bytes, the limit is {MAX_LABELS_BYTES}"),
    ],
)
def test_more_classes_or_longer_names_are_refused_in_a_definition(labels: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelDefinition(family="fixed-answer", labels=labels)


def test_a_file_of_labels_that_is_too_long_is_refused_and_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("crab\n" * (MAX_LABELS_BYTES // 5 + 1))
    with pytest.raises(ValidationError, match=f"more than {MAX_LABELS_BYTES} bytes"):
        ModelDefinition(family="fixed-answer", labels_file=str(path))


def test_more_classes_than_are_allowed_are_refused_when_a_file_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_many(self: FixedAnswer, definition: ModelDefinition) -> None:
        del definition
        self.labels = ("crab",) * (MAX_LABELS + 1)

    monkeypatch.setattr(FixedAnswer, "__init__", with_many)
    with pytest.raises(ModelUnavailable, match=f"the limit is {MAX_LABELS}"):
        Replica("m", ModelDefinition(family="fixed-answer"), Resources(), NoMeter())
