"""What a format cannot express is told, with those that can; and no answer is without bounds."""

import re

import numpy as np
import pytest

from deployments.errors import ImageTooLarge, InvalidRequest
from deployments.prediction import ClassScores, Detections, Embedding, Masks, Prediction, Result
from serve_app.formats import FORMATS, Answer
from serve_app.formats.contract import EXPRESSED_BY, MAX_WRITTEN_BYTES, within_limit
from tests.serve_app.formats.sample_answers import answer, classes, detections, embedding

KINDS: list[Result] = [detections(), classes(), embedding()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize("name", FORMATS)
def test_a_format_expresses_what_the_table_says(name: str, kind: Result) -> None:
    if name in EXPRESSED_BY[type(kind)]:
        assert FORMATS[name].write([answer(kind)])
        return
    with pytest.raises(InvalidRequest) as caught:
        FORMATS[name].write([answer(kind)])
    assert re.match(f"format {name} cannot express what benthic-demo answers, which is ", caught.value.message)
    assert caught.value.message.endswith("use " + ", ".join(["json", *EXPRESSED_BY[type(kind)]]))


def test_the_table_has_every_kind_and_no_unknown_format() -> None:
    assert set(EXPRESSED_BY) == {Detections, ClassScores, Embedding}
    assert {name for names in EXPRESSED_BY.values() for name in names} == set(FORMATS)


@pytest.mark.parametrize("name", EXPRESSED_BY[ClassScores])
def test_two_kinds_in_one_answer_are_refused_or_written(name: str) -> None:
    mixed = [answer(classes()), answer(detections())]
    if name == "dwc":
        assert FORMATS[name].write(mixed)
        return
    with pytest.raises(InvalidRequest, match="which is boxes"):
        FORMATS[name].write(mixed)


def test_an_answer_has_a_largest_size() -> None:
    assert within_limit(b"x" * 10) == b"x" * 10
    with pytest.raises(InvalidRequest, match=f"more than {MAX_WRITTEN_BYTES} bytes"):
        within_limit(bytes(MAX_WRITTEN_BYTES + 1))


@pytest.mark.parametrize("name", ["coco", "coco-dataset"])
def test_masks_that_grow_beyond_an_answer_are_refused_before_they_are_made(name: str) -> None:
    stripes = np.zeros((512, 976), np.bool_)
    stripes[::2] = True
    wide = Masks.of(1, lambda _: stripes, (512, 976))
    one = detections(masks=wide).picked(np.array([0]))
    with pytest.raises(InvalidRequest, match="fewer images"):
        FORMATS[name].write([Answer("a.png", Prediction(one, (976, 65_535), "m", "1"), None)])


@pytest.mark.parametrize("name", ["picture", "picture-png"])
def test_pictures_have_as_many_pixels_together_as_one_image_may_have(name: str) -> None:
    large = Prediction(detections(), (6000, 6000), "m", "1")
    with pytest.raises(
        ImageTooLarge, match="2 images have 72000000 pixels together, the limit for pictures is 64000000"
    ):
        FORMATS[name].write([Answer("a.png", large, b""), Answer("b.png", large, b"")])
