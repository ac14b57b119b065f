"""Masks as brush strokes, read by the rules of rle-pack."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import InvalidRequest
from deployments.prediction import Masks
from serve_app.faces.label_studio.brush import MAX_SPANS, brush_runs
from tests.serve_app.faces.label_studio.asking import read_brush


def brush_of(mask: NDArray[np.bool_], image_size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Alpha of each pixel, after the other channels are found to be the same."""
    masks = Masks.of(1, lambda _: mask, mask.shape)
    pixels = read_brush(brush_runs(masks, 0, image_size_px).tobytes()).reshape(*image_size_px, 4)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 3]


@pytest.mark.parametrize("size_px", [(6, 9), (12, 18), (20, 31), (5, 8), (300, 400)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_mask_comes_back_at_the_size_of_the_image(size_px: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(7).random((6, 9)) < share
    rows = np.diff(np.arange(7) * size_px[0] // 6)
    columns = np.diff(np.arange(10) * size_px[1] // 9)
    expected = np.repeat(np.repeat(mask, rows, axis=0), columns, axis=1)
    assert (brush_of(mask, size_px) == expected * 255).all()


@pytest.mark.parametrize("pixels", [1, 2, 4, 63, 64, 65, 16_383, 16_384, 16_385, 40_000])
def test_runs_of_every_length_are_written(pixels: int) -> None:
    mask = np.zeros((1, 100_000), np.bool_)
    mask[0, 5 : 5 + pixels] = True
    assert (brush_of(mask, mask.shape) == mask * 255).all()


def test_the_second_of_two_masks_is_its_own() -> None:
    both = np.zeros((2, 4, 6), np.bool_)
    both[0, :2], both[1, 2:, 3:] = True, True
    masks = Masks.of(2, both.__getitem__, (4, 6))
    pixels = read_brush(brush_runs(masks, 1, (4, 6)).tobytes()).reshape(4, 6, 4)[..., 0]
    assert (pixels == both[1] * 255).all()


def test_noise_is_refused_before_it_is_written() -> None:
    noise = np.indices((700, 700)).sum(axis=0) % 2 == 0
    masks = Masks.of(1, lambda _: noise, noise.shape)
    with pytest.raises(InvalidRequest, match=f"the limit of a brush is {MAX_SPANS}; have the configuration ask for"):
        brush_runs(masks, 0, (7000, 7000))
