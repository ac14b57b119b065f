"""Images get onto the canvas as the usual tools put them there, and boxes come back."""

import cv2
import numpy as np
import PIL.Image
import pytest

from deployments.families.shared.resize import Interpolation, Resize
from tests.deployments.families.golden.generic_pictures import picture


def test_a_stretched_image_fills_the_canvas_and_its_boxes_come_back() -> None:
    pixels = picture(60, 200)
    canvas, geometry = Resize("stretch", (90, 50)).apply(pixels)
    np.testing.assert_array_equal(canvas, cv2.resize(pixels, (50, 90)))
    boxes = geometry.to_image(np.array([[0, 0, 50, 90], [10, 30, 20, 60], [-5, 0, 25, 900]], np.float32))
    np.testing.assert_allclose(boxes, [[0, 0, 200, 60], [40, 20, 80, 40], [0, 0, 100, 60]])


@pytest.mark.parametrize("size_px", [(64, 64), (97, 160), (160, 97), (300, 77)])
@pytest.mark.parametrize("interpolation", ["antialiased", "bicubic"])
def test_a_crop_is_the_middle_of_the_resized_image(size_px: tuple[int, int], interpolation: Interpolation) -> None:
    """As torchvision's Resize(64) and CenterCrop(56) do it, written out; ultralytics' own outputs: other test."""
    canvas, _ = Resize("centre-crop", (56, 56), interpolation, crop_ratio=56 / 64).apply(picture(*size_px))
    height, width = size_px
    scale = 64 / min(size_px)
    size = (int(width * scale), int(height * scale))
    kind = PIL.Image.Resampling.BICUBIC if interpolation == "bicubic" else PIL.Image.Resampling.BILINEAR
    resized = np.asarray(PIL.Image.fromarray(picture(*size_px)).resize(size, kind))
    top, left = round((size[1] - 56) / 2), round((size[0] - 56) / 2)
    np.testing.assert_array_equal(canvas, resized[top : top + 56, left : left + 56])


def test_a_thread_of_an_image_is_cropped_before_it_is_resized() -> None:
    pixels = np.zeros((40_000, 2, 3), np.uint8)
    pixels[19_990:20_010] = 200
    canvas, _ = Resize("centre-crop", (224, 224)).apply(pixels)
    assert canvas.shape == (224, 224, 3)
    assert (canvas == 200).all()


def test_the_usual_letterbox_is_the_one_of_yolo() -> None:
    canvas, geometry = Resize("letterbox", (64, 64)).apply(np.full((32, 64, 3), 255, np.uint8))
    assert (canvas[:16] == 114).all()
    assert (canvas[16:48] == 255).all()
    np.testing.assert_allclose(geometry.to_image(np.array([[0, 16, 32, 48]], np.float32)), [[0, 0, 32, 32]])
