"""Pictures, read back as pixels."""

import io
import zipfile

import numpy as np
import PIL.Image
import pytest

from deployments.errors import ImageTooLarge, InternalError, Overloaded
from deployments.images import SLOW_PX
from deployments.prediction import Prediction
from serve_app.formats import FORMATS, Answer
from serve_app.formats.picture import COLOURS, in_turn
from tests.serve_app.formats.sample_answers import (
    SIZE_PX,
    answer,
    answer_with_label,
    corners,
    detections,
    image_file,
    keypoints,
    masks,
    nothing,
    samples,
)

GREY = (40, 40, 40)


def pixels(written: bytes, kind: str = "PNG") -> np.ndarray:
    with PIL.Image.open(io.BytesIO(written)) as picture:
        assert picture.format == kind
        return np.asarray(picture.convert("RGB"))


def drawn(**more: object) -> np.ndarray:
    return pixels(FORMATS["picture-png"].write([answer(detections(**more))]))


@pytest.mark.parametrize(("name", "kind"), [("picture", "JPEG"), ("picture-png", "PNG")])
def test_one_image_is_one_picture_of_its_size(name: str, kind: str) -> None:
    assert pixels(FORMATS[name].write([answer(detections())]), kind).shape == (*SIZE_PX, 3)


def test_a_box_has_the_colour_of_its_class_and_lies_on_its_own_pixels() -> None:
    picture = drawn()
    assert tuple(picture[60, 10]) == COLOURS[4]
    assert tuple(picture[60, 59]) == COLOURS[4]
    assert tuple(picture[60, 9]) == tuple(picture[60, 60]) == GREY
    assert tuple(picture[60, 30]) == GREY
    assert tuple(picture[119, 150]) == tuple(picture[60, 199]) == COLOURS[0]


def test_a_label_is_written_above_its_box_and_inside_the_picture() -> None:
    picture = drawn()
    above = picture[5:20, 10:60]
    assert (above == COLOURS[4]).all(axis=2).any()
    assert (above == 0).all(axis=2).any(), "black letters"


def test_nothing_found_is_the_image_itself() -> None:
    assert (pixels(FORMATS["picture-png"].write([answer(nothing())])) == 40).all()


def test_masks_shine_through() -> None:
    picture = drawn(masks=masks())
    expected = np.array(GREY) * 0.55 + np.array(COLOURS[4]) * 0.45
    assert picture[50, 34] == pytest.approx(expected, abs=1)
    assert tuple(picture[90, 90]) == GREY


def test_rotated_boxes_and_keypoints_are_drawn() -> None:
    picture = drawn(corners=corners(), keypoints=keypoints())
    assert tuple(picture[20, 10]) != GREY
    assert (picture[79:82, 33:38] == COLOURS[4]).all(axis=2).any(), "the lowest corner"
    assert tuple(picture[60, 10]) == GREY, "the upright box"


def test_several_images_are_a_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(FORMATS["picture"].write(samples()))) as archive:
        assert archive.namelist() == ["frame-1.jpg", "frame-2.jpg", "frame-3.jpg"]
        assert all(pixels(archive.read(name), "JPEG").shape == (*SIZE_PX, 3) for name in archive.namelist())


@pytest.mark.parametrize("label", ["海月 Quallen äöü", "\u202e" * 40, "x" * 5000, "\n", "🐙"])
def test_any_label_can_be_drawn(label: str) -> None:
    assert FORMATS["picture"].write([answer_with_label(label)])


@pytest.mark.parametrize("size_px", [(1, 1), (1, 300), (300, 1), (5, 5)])
def test_tiny_images(size_px: tuple[int, int]) -> None:
    one = Answer("a.png", Prediction(detections(masks=masks()), size_px, "m", "1"), image_file(size_px))
    assert pixels(FORMATS["picture-png"].write([one])).shape == (*size_px, 3)


def test_a_jpeg_is_no_wider_than_jpegs_are_written() -> None:
    size_px = (1, 65_535)
    wide = Answer("a.png", Prediction(nothing(), size_px, "m", "1"), image_file(size_px))
    with pytest.raises(ImageTooLarge, match="65500 pixels on a side: use picture-png"):
        FORMATS["picture"].write([wide])
    assert pixels(FORMATS["picture-png"].write([wide])).shape == (*size_px, 3)


def test_large_pictures_are_drawn_one_after_the_other() -> None:
    with in_turn(SLOW_PX + 1):
        with pytest.raises(Overloaded, match="large pictures"), in_turn(SLOW_PX + 1, patience_s=0):
            pass
        assert FORMATS["picture"].write([answer(detections())]), "a small one does not wait"
    with in_turn(SLOW_PX + 1, patience_s=0):
        pass


def test_a_picture_needs_the_image_of_the_answer() -> None:
    prediction = answer(detections()).prediction
    for encoded in (None, image_file((10, 10))):
        with pytest.raises(InternalError):
            FORMATS["picture"].write([Answer("a.png", prediction, encoded)])
