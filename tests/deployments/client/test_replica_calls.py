"""Which calls go through shared memory: those that are large, and those whose answer may be."""

from collections.abc import Generator
from typing import Any, Self, cast

import numpy as np
import pytest
from ray.serve.handle import DeploymentHandle

from deployments.client.replica_calls import BY_REFERENCE_FROM_BYTES, ReplicaCalls
from deployments.errors import InternalError
from deployments.prediction import ClassScores, Detections, Embedding, Masks, Outcome, Prediction, Result
from deployments.request import Image, Request

BOXES = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ())
WITH_MASKS = Detections(
    BOXES.boxes, BOXES.scores, BOXES.class_ids, (), masks=Masks.of(0, lambda index: np.ones((1, 1), bool), (1, 1))
)
WITH_KEYPOINTS = Detections(BOXES.boxes, BOXES.scores, BOXES.class_ids, (), keypoints=np.zeros((0, 3, 3), np.float32))
BY_REFERENCE = {"_by_reference": True}


class Response:
    """What a remote call gives: awaited, it is the answer."""

    def __init__(self, answer: Result | Exception) -> None:
        self._answer = answer

    def __await__(self) -> Generator[Any, None, list[Outcome]]:
        yield from ()
        if isinstance(self._answer, Exception):
            raise self._answer
        return [Prediction(self._answer, (1, 1), "m", "1")]


class Handle:
    """A handle of Serve that knows how each call was made."""

    def __init__(self, answers: list[Result | Exception]) -> None:
        self.ways: list[dict[str, Any]] = []
        self._answers = answers
        self._options: dict[str, Any] = {}
        self.predict = self

    def options(self, **options: Any) -> Self:
        self._options = options
        return self

    def remote(self, requests: list[Request]) -> Response:
        self.ways.append(self._options)
        self._options = {}
        return Response(self._answers.pop(0))


class Calls(ReplicaCalls):
    """Calls with a handle of the test's."""

    def __init__(self, answers: list[Result | Exception]) -> None:
        super().__init__("m")
        self.made = Handle(answers)

    async def handle(self) -> DeploymentHandle:
        return cast("DeploymentHandle", self.made)


def request(size_bytes: int = 4) -> list[Request]:
    return [Request(Image(encoded=np.zeros(size_bytes, np.uint8)))]


@pytest.mark.parametrize(
    "small", [BOXES, ClassScores(np.zeros(0, np.float32), ()), Embedding(np.zeros(3, np.float32))]
)
async def test_only_the_first_call_goes_by_reference_where_answers_are_small(small: Result) -> None:
    calls = Calls([small] * 3)
    for _ in range(3):
        await calls.send(request())
    assert calls.made.ways == [BY_REFERENCE, {}, {}]


@pytest.mark.parametrize("large", [WITH_MASKS, WITH_KEYPOINTS])
async def test_calls_go_by_reference_while_answers_may_be_large(large: Result) -> None:
    calls = Calls([BOXES, large, large, BOXES, BOXES])
    for _ in range(5):
        await calls.send(request())
    assert calls.made.ways == [BY_REFERENCE, {}, BY_REFERENCE, BY_REFERENCE, {}]


async def test_a_call_that_failed_is_followed_by_one_by_reference() -> None:
    calls = Calls([BOXES, ValueError("too large"), BOXES])
    await calls.send(request())
    with pytest.raises(InternalError):
        await calls.send(request())
    await calls.send(request())
    assert calls.made.ways == [BY_REFERENCE, {}, BY_REFERENCE]


async def test_a_large_question_goes_by_reference() -> None:
    calls = Calls([BOXES, BOXES])
    await calls.send(request())
    await calls.send(request(BY_REFERENCE_FROM_BYTES))
    assert calls.made.ways == [BY_REFERENCE, BY_REFERENCE]
