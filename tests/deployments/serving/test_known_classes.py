"""Classes that a model does not have are refused, with the field, the name and the nearest known ones."""

import time

import numpy as np
import pytest

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.errors import InvalidRequest, ModelUnavailable
from deployments.prediction import Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources
from deployments.serving.known_classes import KnownClasses
from deployments.serving.replica import Replica
from tests.support.no_meter import NoMeter

LABELS = ("Sea star", "Sea cucumber", "Crab", "Squat lobster", "Fish")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("crab",), "classes: this model has no class 'crab'; did you mean 'Crab'?"),
        (("Crab", "Sea str"), "classes: this model has no class 'Sea str'; did you mean 'Sea star'"),
        (("Zooplankton",), "classes: this model has no class 'Zooplankton'; it has 5, such as 'Sea star', "),
    ],
)
def test_an_unknown_class_is_refused_with_its_name_and_the_nearest_known(
    asked: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        KnownClasses(LABELS).check(asked)
    assert refused.value.message.startswith(message)


def test_a_name_that_no_answer_can_hold_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="labels: the name of class 1 is no text"):
        KnownClasses(("Crab", "half a \ud800"))


async def test_a_threshold_for_an_unknown_class_is_refused() -> None:
    model = Replica("m", ModelDefinition(family="fixed-answer"), Resources(), NoMeter())
    pixels = np.zeros((8, 8, 3), np.uint8)
    asked = Request(Image.from_pixels(pixels), Options(score_threshold={"*": 0.1, "Crab": 0.5}))
    [outcome] = await model.predict([asked])
    assert isinstance(outcome, InvalidRequest)
    assert outcome.message.startswith("score_threshold: this model has no class 'Crab'")
    await model.close()


def test_known_classes_pass_and_so_does_no_wish() -> None:
    for classes in (None, (), ("Crab",), LABELS):
        KnownClasses(LABELS).check(classes)


def test_a_refusal_names_a_few_and_takes_little_time_whatever_is_asked_of_a_model_with_many_classes() -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefgh "))
    known = KnownClasses(["".join(rng.choice(letters, 20)) for _ in range(22_000)])
    began_s = time.thread_time()
    with pytest.raises(InvalidRequest) as refused:
        known.check(("abcdefgh " * 100_000,))
    # Some tenths of a second on an idle core.
    assert time.thread_time() - began_s < 5
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("tiling", [None, Tiling(tile_height_px=100, tile_width_px=100)])
@pytest.mark.parametrize("knob", [None, Tiling(tile_height_px=100, tile_width_px=100)])
async def test_a_model_refuses_classes_that_it_lacks_for_images_in_tiles_too(
    tiling: Tiling | None, knob: Tiling | None
) -> None:
    model = Replica("m", ModelDefinition(family="fixed-answer"), Resources(), NoMeter())
    model.set_knobs(ModelKnobs(tiling=knob))
    pixels = np.zeros((200, 300, 3), np.uint8)
    [refused, answered] = await model.predict(
        [
            Request(Image.from_pixels(pixels), Options(classes=("fixed answer b",), tiling=tiling)),
            Request(Image.from_pixels(pixels), Options(classes=("fixed answer B",), tiling=tiling)),
        ]
    )
    assert isinstance(refused, InvalidRequest)
    assert "'fixed answer b'" in refused.message
    assert "did you mean 'fixed answer B'" in refused.message
    assert isinstance(answered, Prediction)
    assert answered.result.labels
    await model.close()
