"""The YOLO letterbox: one image onto a fixed canvas, and boxes back again.

Pixels and geometry only; it needs no TensorFlow.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.families.shared.float_pixels import interpolated

PAD_COLOUR = 114
"""Grey level of the border; the value YOLOv5 and its successors train with."""

# Halves are split by rounding x-0.1 and x+0.1, so an odd border puts its extra
# pixel at the bottom or right, exactly where the reference puts it.
_SPLIT_BIAS_PX = 0.1


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where one image lies on its canvas."""

    gain: float
    """Canvas pixels for one pixel of the image, of both axes, before rounding."""

    pad_left_px: int
    pad_top_px: int

    resized_px: tuple[int, int]
    """Height and width of the image on the canvas."""

    source_px: tuple[int, int]
    """Height and width of the image as it came."""

    canvas_px: tuple[int, int]
    """Height and width of the canvas."""

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Map canvas boxes to image pixels and clip them to the image.

        Takes and returns (N, 4) x1, y1, x2, y2; the answer is a new float32 array.
        Uses the true ratio of each axis, because rounding the resized side to whole
        pixels makes the two differ (ultralytics `utils/ops.py` `scale_boxes` does so too).
        """
        height, width = self.source_px
        mapped = self.points_to_image(np.asarray(boxes, np.float32).reshape(-1, 2, 2)).reshape(-1, 4)
        return np.clip(mapped, 0.0, np.array([width, height] * 2, np.float32))

    def points_to_image(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Map canvas points (..., 2) x y to image pixels, by the true ratio of each axis; not clipped."""
        offset = np.array([self.pad_left_px, self.pad_top_px], np.float32)
        return np.asarray((np.asarray(points, np.float32) - offset) / self.axis_gains, np.float32)

    def to_canvas(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Map image boxes (N, 4) x1, y1, x2, y2 to canvas pixels; not clipped."""
        offset = np.array([self.pad_left_px, self.pad_top_px] * 2, np.float32)
        scaled = np.asarray(boxes, np.float32).reshape(-1, 4) * np.tile(self.axis_gains, 2)
        return np.asarray(scaled + offset, np.float32)

    @property
    def axis_gains(self) -> NDArray[np.float32]:
        """Canvas pixels for one pixel of the image, across and down."""
        (height, width), (canvas_height, canvas_width) = self.source_px, self.resized_px
        return np.array([canvas_width / width, canvas_height / height], np.float32)


def plan(source_px: tuple[int, int], canvas_px: tuple[int, int], gain: float | None = None) -> Letterbox:
    """The geometry of an image of `source_px` on `canvas_px`, both (height, width).

    gain: given where the canvas was cut to the image, so that its size no longer tells the ratio.
    Rounding as in YOLOv5 `utils/augmentations.py` `letterbox(auto=False)` and ultralytics
    `data/augment.py` `LetterBox(auto=False, center=True)`; small images are enlarged.
    Raises ValueError when a side is not positive.
    """
    height, width = source_px
    if min(height, width, *canvas_px) <= 0:
        raise ValueError(f"image {source_px} and canvas {canvas_px} must have positive sides")
    if gain is None:
        gain = min(canvas_px[0] / height, canvas_px[1] / width)
    # A very long, thin image would otherwise round to a side of zero pixels.
    resized = max(1, round(height * gain)), max(1, round(width * gain))
    return Letterbox(
        gain=gain,
        pad_left_px=round((canvas_px[1] - resized[1]) / 2 - _SPLIT_BIAS_PX),
        pad_top_px=round((canvas_px[0] - resized[0]) / 2 - _SPLIT_BIAS_PX),
        resized_px=resized,
        source_px=(height, width),
        canvas_px=canvas_px,
    )


def letterbox(
    pixels: NDArray[np.uint8], canvas_px: tuple[int, int], gain: float | None = None
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit an image onto a fixed canvas, centred, keeping its shape.

    Takes uint8 (height, width, 3), of any colour order, and the canvas as (height, width); gives the canvas,
    uint8 (height, width, 3), and its geometry. gain: see `plan`.
    Raises ValueError for another dtype or number of dimensions.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    geometry = plan((pixels.shape[0], pixels.shape[1]), canvas_px, gain)
    height, width = geometry.resized_px
    canvas = np.full((*canvas_px, 3), PAD_COLOUR, np.uint8)
    top, left = geometry.pad_top_px, geometry.pad_left_px
    window = canvas[top : top + height, left : left + width]
    if (height, width) == pixels.shape[:2]:
        window[...] = pixels
    else:
        window[...] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas, geometry


def float_letterbox(pixels: NDArray[np.uint8], canvas_px: tuple[int, int]) -> tuple[NDArray[np.float32], Letterbox]:
    """As `letterbox`, but resized in float32, so that nothing is rounded: a canvas float32 of 0 to 255."""
    geometry = plan((pixels.shape[0], pixels.shape[1]), canvas_px)
    height, width = geometry.resized_px
    canvas = np.full((*canvas_px, 3), PAD_COLOUR, np.float32)
    top, left = geometry.pad_top_px, geometry.pad_left_px
    canvas[top : top + height, left : left + width] = interpolated(pixels, geometry.resized_px)
    return canvas, geometry


def letterbox_within(
    pixels: NDArray[np.uint8], canvas_px: tuple[int, int], stride_px: int
) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit an image, uint8 (height, width, 3), onto the smallest canvas within `canvas_px`, (height, width).

    The image is resized as for `canvas_px`; the sides of its canvas are the least multiples of `stride_px`. So do the
    references with one image (`auto=True`). Gives the canvas and its geometry, as `letterbox` does.
    """
    height, width = pixels.shape[:2]
    gain = min(canvas_px[0] / height, canvas_px[1] / width)
    rows, columns = (_least_multiple(side * gain, stride_px) for side in (height, width))
    return letterbox(pixels, (rows, columns), gain)


def _least_multiple(side_px: float, stride_px: int) -> int:
    """The least multiple of the stride that holds a resized side, which is rounded first as it is drawn."""
    return max(1, -(-round(side_px) // stride_px)) * stride_px
