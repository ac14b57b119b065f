"""The letterbox: the reference's rounding, and the way back."""

import numpy as np
import pytest

from deployments.families.shared.letterbox import PAD_COLOUR, letterbox, plan

# source and canvas (height, width) -> resized size, left and top border; worked out by hand from
# the formula of the reference: round(side * gain), and round(border / 2 - 0.1) at the top and left.
_KNOWN = [
    ((540, 960), (384, 640), (360, 640), 0, 12),
    ((720, 1280), (640, 640), (360, 640), 0, 140),
    ((1080, 810), (640, 640), (640, 480), 80, 0),
    ((100, 101), (640, 640), (634, 640), 0, 3),
    ((333, 500), (640, 640), (426, 640), 0, 107),
    ((427, 640), (640, 640), (427, 640), 0, 106),
    ((1, 5000), (64, 64), (1, 64), 0, 31),
]


@pytest.mark.parametrize(("source", "canvas", "resized", "left", "top"), _KNOWN)
def test_rounding_is_the_references(
    source: tuple[int, int],
    canvas: tuple[int, int],
    resized: tuple[int, int],
    left: int,
    top: int,
) -> None:
    geometry = plan(source, canvas)
    assert geometry.resized_px == resized
    assert (geometry.pad_left_px, geometry.pad_top_px) == (left, top)
    # An odd border has its extra pixel at the bottom or right, and nothing is lost.
    assert 0 <= canvas[0] - resized[0] - 2 * top <= 1
    assert 0 <= canvas[1] - resized[1] - 2 * left <= 1


def test_the_border_is_grey_and_the_middle_is_the_image() -> None:
    pixels = np.full((50, 100, 3), (200, 10, 30), np.uint8)
    canvas, geometry = letterbox(pixels, (100, 100))
    assert canvas.shape == (100, 100, 3)
    assert canvas.dtype == np.uint8
    assert geometry.pad_top_px == 25
    assert (canvas[:25] == PAD_COLOUR).all()
    assert (canvas[75:] == PAD_COLOUR).all()
    assert (canvas[25:75] == (200, 10, 30)).all()


def test_an_image_of_canvas_size_passes_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    canvas, geometry = letterbox(pixels, (64, 96))
    assert np.array_equal(canvas, pixels)
    assert geometry.gain == 1.0


def test_boxes_return_to_where_they_came_from() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        height, width = (int(side) for side in rng.integers(1, 3000, 2))
        geometry = plan((height, width), (384, 640))
        corners = rng.uniform(0, 1, (5, 2, 2)) * [width, height]
        boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
        assert np.allclose(geometry.to_image(geometry.to_canvas(boxes)), boxes, atol=0.02)


def test_boxes_are_clipped_to_the_image() -> None:
    geometry = plan((540, 960), (384, 640))
    clipped = geometry.to_image(np.array([[-50, -50, 700, 400]], np.float32))
    assert clipped.tolist() == [[0, 0, 960, 540]]
    assert clipped.dtype == np.float32


def test_no_boxes_are_fine() -> None:
    assert plan((540, 960), (384, 640)).to_image(np.empty((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        letterbox(pixels, (64, 64))


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        letterbox(np.zeros((0, 4, 3), np.uint8), (64, 64))
