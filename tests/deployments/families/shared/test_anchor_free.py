"""Decoding in the graph, against plain numpy loops."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.shared.anchor_free import HeadMaps, anchor_points, decode, to_corners

_STRIDES_PX = (8, 16)
_SIZES = ((4, 6), (2, 3))
_CLASSES = 3


def _maps(seed: int, images: int, bins: int) -> list[HeadMaps]:
    rng = np.random.default_rng(seed)
    return [
        HeadMaps(
            rng.normal(2, 1, (images, *size, 4 * bins)).astype(np.float32),
            rng.normal(0, 2, (images, *size, _CLASSES)).astype(np.float32),
            stride_px,
        )
        for size, stride_px in zip(_SIZES, _STRIDES_PX, strict=True)
    ]


def _sides(raw: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    if bins == 1:
        return raw
    share = np.exp(raw.reshape(4, bins))
    share /= share.sum(1, keepdims=True)
    return np.asarray((share * np.arange(bins)).sum(1), np.float32)


def _loop(levels: list[HeadMaps], image: int, bins: int) -> list[tuple[float, int, list[float]]]:
    found = []
    for level in levels:
        _, height, width, _ = level.distances.shape
        for y in range(height):
            for x in range(width):
                left, top, right, bottom = _sides(level.distances[image, y, x], bins)
                step = level.stride_px
                centre_x, centre_y = (x + 0.5) * step, (y + 0.5) * step
                box = [
                    centre_x - left * step,
                    centre_y - top * step,
                    centre_x + right * step,
                    centre_y + bottom * step,
                ]
                logits = level.class_logits[image, y, x]
                best = int(logits.argmax())
                found.append((float(1 / (1 + np.exp(-logits[best]))), best, box))
    return sorted(found, key=lambda item: -item[0])


@pytest.mark.parametrize("bins", [1, 16])
@pytest.mark.parametrize("images", [1, 3])
def test_it_agrees_with_plain_loops(bins: int, images: int) -> None:
    levels = _maps(7, images, bins)
    boxes, scores, classes = (np.asarray(t) for t in decode(levels, bins, candidates=10))
    assert boxes.shape == (images, 10, 4)
    assert boxes.dtype == scores.dtype == np.float32
    assert classes.dtype == np.int32
    for image in range(images):
        expected = _loop(levels, image, bins)[:10]
        assert np.allclose(scores[image], [item[0] for item in expected], atol=1e-5)
        assert classes[image].tolist() == [item[1] for item in expected]
        assert np.allclose(boxes[image], [item[2] for item in expected], atol=1e-3)
        assert (np.diff(scores[image]) <= 0).all()


def test_a_small_head_gives_all_its_cells() -> None:
    boxes, scores, _ = decode(_maps(1, 2, 1), candidates=300)
    assert tuple(boxes.shape) == (2, 30, 4)
    assert tuple(scores.shape) == (2, 30)


def test_points_are_cell_centres_row_by_row() -> None:
    points, strides = anchor_points(_SIZES, _STRIDES_PX)
    assert points[0].tolist() == [4, 4]
    assert points[1].tolist() == [12, 4]
    assert points[24].tolist() == [8, 8]
    assert points[-1].tolist() == [40, 24]
    assert strides[:, 0].tolist() == [8] * 24 + [16] * 6


def test_half_precision_maps_are_decoded_in_single() -> None:
    halves = [
        HeadMaps(m.distances.astype(np.float16), m.class_logits.astype(np.float16), m.stride_px)
        for m in _maps(3, 1, 1)
    ]
    boxes, scores, _ = (np.asarray(t) for t in decode(halves))
    assert boxes.dtype == scores.dtype == np.float32


def test_channels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bins"):
        decode(_maps(1, 1, 1), bins=16)


def test_corners_lie_on_both_sides_of_the_centre() -> None:
    corners = np.asarray(to_corners(np.array([[10.0, 20.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])))
    assert corners.tolist() == [[9, 18, 13, 24]]
