"""A loaded model answers requests: right boxes, errors as values, live knobs, early refusal."""

import asyncio

import numpy as np
import pytest

from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InvalidImage, ModelUnavailable, Overloaded
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources, batch_sizes_up_to, padded_size
from deployments.serving.replica import Replica
from tests.support.no_meter import NoMeter


def replica(**parameters: float) -> Replica:
    definition = ModelDefinition(family="fixed-answer", parameters=parameters, revision="7")
    return Replica("fixed", definition, Resources(), NoMeter())


NO_OPTIONS = Options()


class CountingMeter(NoMeter):
    """Keeps the sizes of the batches that ran."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def batch(self, size: int, in_work: int) -> None:
        self.batches.append(size)


def request(options: Options = NO_OPTIONS, deadline_s: float = 30, size_px: tuple[int, int] = (50, 100)) -> Request:
    return Request(Image.from_pixels(np.zeros((*size_px, 3), np.uint8)), options, deadline_s)


def detections(outcome: Outcome) -> Detections:
    assert isinstance(outcome, Prediction), outcome
    assert isinstance(outcome.result, Detections)
    return outcome.result


async def test_boxes_are_in_the_pixels_of_the_image() -> None:
    model = replica()
    [outcome] = await model.predict([request()])
    assert isinstance(outcome, Prediction)
    assert (outcome.model, outcome.revision, outcome.image_size_px) == ("fixed", "7", (50, 100))
    np.testing.assert_allclose(detections(outcome).boxes[0], [10, 10, 50, 30])
    assert list(detections(outcome).scores) == sorted(detections(outcome).scores, reverse=True)
    await model.close()


async def test_one_bad_image_fails_alone_and_order_is_kept() -> None:
    model = replica()
    bad = Request(Image.from_encoded(b"no picture"))
    outcomes = await model.predict([request(), bad, request(size_px=(10, 10))])
    assert isinstance(outcomes[1], InvalidImage)
    assert [type(outcomes[0]), type(outcomes[2])] == [Prediction, Prediction]
    np.testing.assert_allclose(detections(outcomes[2]).boxes[0], [1, 2, 5, 6])
    await model.close()


async def test_knobs_are_live_and_options_win() -> None:
    model = replica()
    model.set_knobs(ModelKnobs(score_threshold=0.7))
    [few] = await model.predict([request()])
    model.set_knobs(ModelKnobs(score_threshold=0.1))
    [many, filtered, best] = await model.predict(
        [
            request(),
            request(Options(classes=("fixed answer B",))),
            request(Options(max_detections=1, score_threshold=0.0)),
        ]
    )
    assert [len(detections(outcome)) for outcome in (few, many, filtered, best)] == [1, 2, 1, 1]
    assert detections(filtered).labels == ("fixed answer B",)
    await model.close()


@pytest.mark.parametrize(
    ("knob", "asked", "found"),
    [
        ({"fixed answer A": 0.95}, None, ["fixed answer B"]),
        ({"*": 0.95}, None, []),
        ({"*": 0.95, "fixed answer B": 0.1}, None, ["fixed answer B"]),
        ({"fixed answer A": 0.95}, 0.1, ["fixed answer A", "fixed answer B"]),
        ({"fixed answer A": 0.95}, {"fixed answer B": 0.95}, []),
        (0.95, {"fixed answer A": 0.1}, ["fixed answer A"]),
        ({"fixed answer A": 0.95}, {"*": 0.1}, ["fixed answer A", "fixed answer B"]),
    ],
)
async def test_a_class_has_the_threshold_that_was_given_for_it_the_request_s_before_the_knob_s(
    knob: float | dict[str, float], asked: float | dict[str, float] | None, found: list[str]
) -> None:
    model = replica()
    model.set_knobs(ModelKnobs.model_validate({"score_threshold": knob}))
    [outcome] = await model.predict([request(Options(score_threshold=asked))])
    assert list(detections(outcome).labels) == found
    await model.close()


async def test_a_knob_for_a_class_that_the_model_lacks_is_told_and_counts_for_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = replica()
    model.set_knobs(ModelKnobs(score_threshold={"fixed answer a": 0.5, "fixed answer B": 0.95}))
    [outcome] = await model.predict([request()])
    assert detections(outcome).labels == ("fixed answer A",)
    told = "user_config.score_threshold: this model has no class 'fixed answer a'; did you mean 'fixed answer A'"
    assert told in caplog.text
    await model.close()


async def test_an_expired_request_is_not_inferred() -> None:
    meter = CountingMeter()
    model = Replica("fixed", ModelDefinition(family="fixed-answer"), Resources(), meter)
    [late, in_time] = await model.predict([request(deadline_s=1e-9), request()])
    assert isinstance(late, DeadlineExceeded)
    assert isinstance(in_time, Prediction)
    assert meter.batches == [1]
    await model.close()


async def test_overload_is_refused_before_decoding() -> None:
    model = replica(delay_ms=50)
    model.set_knobs(ModelKnobs(max_waiting_images=2))
    outcomes = await asyncio.gather(*(model.predict([request()]) for _ in range(5)))
    kinds = [type(outcome[0]) for outcome in outcomes]
    assert kinds == [Prediction, Prediction, Overloaded, Overloaded, Overloaded]
    await model.close()


async def test_concurrent_requests_share_batches() -> None:
    model = replica(delay_ms=20)
    outcomes = await asyncio.gather(*(model.predict([request()]) for _ in range(12)))
    sizes = [outcome[0].timings.batch_size for outcome in outcomes if isinstance(outcome[0], Prediction)]
    assert max(sizes) > 1
    assert len(sizes) == 12
    await model.close()


def test_a_definition_that_the_family_cannot_fulfil_is_refused_when_loading() -> None:
    with pytest.raises(ModelUnavailable, match="colour"):
        Replica("x", ModelDefinition(family="fixed-answer", parameters={"colour": 1}), Resources(), NoMeter())
    with pytest.raises(ModelUnavailable, match="has 2 classes, but the definition names 1 labels"):
        Replica("x", ModelDefinition(family="fixed-answer", labels=("one",)), Resources(), NoMeter())
    with pytest.raises(ModelUnavailable, match="unknown family 'yolo99'"):
        Replica("x", ModelDefinition(family="yolo99"), Resources(), NoMeter())


def test_batches_are_padded_to_compiled_sizes() -> None:
    assert batch_sizes_up_to(1) == (1,)
    assert batch_sizes_up_to(8) == (1, 2, 4, 8)
    assert batch_sizes_up_to(6) == (1, 2, 4, 6)
    assert [padded_size(count, (1, 2, 4, 6)) for count in (1, 3, 5, 6)] == [1, 4, 6, 6]


async def test_a_replica_is_idle_since_its_last_image() -> None:
    model = replica(delay_ms=300)
    assert model.seconds_idle > 0
    asked = asyncio.create_task(model.predict([request()]))
    await asyncio.sleep(0)
    assert model.images_in_work == 1
    assert model.seconds_idle == 0
    await asked
    idle_s = model.seconds_idle
    assert 0 < idle_s < model.seconds_idle
    await model.close()
