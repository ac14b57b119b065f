"""An image stretched without rounding, against OpenCV's and Pillow's resizing in float32."""

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from deployments.families.detr.float_stretch import canvas_size, stretched, unstretched

SIZES = [(37, 53), (200, 30), (64, 96), (1, 1), (500, 7)]
TARGET = (64, 96)


def picture(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)


def read_back(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
    assert canvas.dtype == np.uint8
    assert canvas.shape == (*canvas_size(TARGET), 3)
    return np.asarray(unstretched(canvas[None]))[0]


@pytest.mark.parametrize("size", SIZES)
def test_four_neighbours_are_weighed_as_in_float32(size: tuple[int, int]) -> None:
    wanted = cv2.resize(picture(size).astype(np.float32), TARGET[::-1], interpolation=cv2.INTER_LINEAR)
    found = read_back(stretched(picture(size), TARGET, antialias=False))
    np.testing.assert_allclose(found, wanted, atol=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_averages_are_those_of_pillow_in_float32(size: tuple[int, int]) -> None:
    image = picture(size).astype(np.float32)
    bands = [
        PIL.Image.fromarray(image[..., band]).resize(TARGET[::-1], PIL.Image.Resampling.BILINEAR) for band in range(3)
    ]
    found = read_back(stretched(picture(size), TARGET, antialias=True))
    np.testing.assert_allclose(found, np.stack([np.asarray(band) for band in bands], axis=-1), atol=0.003)


def test_an_image_of_the_right_size_is_not_changed() -> None:
    for antialias in (False, True):
        found = read_back(stretched(picture(TARGET), TARGET, antialias))
        np.testing.assert_array_equal(found, picture(TARGET))
