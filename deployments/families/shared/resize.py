"""The three ways in which an image gets onto the canvas of a network, and boxes back again.

The sizes of `centre-crop` are those of torchvision's Resize and CenterCrop.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from deployments.families.shared.letterbox import letterbox

Interpolation = Literal["linear", "antialiased", "bicubic"]
ResizeMode = Literal["letterbox", "stretch", "centre-crop"]

_PILLOW = {"antialiased": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}

# A thread of an image, 1 x 60,000 pixels, would be resized into gigabytes of which the crop shows nothing.
_MOST_ELONGATED = 8


class CanvasGeometry(Protocol):
    """Where an image lies on its canvas."""

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) x1 y1 x2 y2 from canvas to image pixels, clipped to the image."""
        ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """An image that fills its canvas, out of shape. Sizes are (height, width) in pixels."""

    source_px: tuple[int, int]
    canvas_px: tuple[int, int]

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped."""
        height, width = self.source_px
        scale = np.array([width / self.canvas_px[1], height / self.canvas_px[0]] * 2, np.float32)
        mapped = np.asarray(boxes, np.float32).reshape(-1, 4) * scale
        return np.asarray(np.clip(mapped, 0.0, np.array([width, height] * 2, np.float32)), np.float32)


@dataclass(frozen=True, slots=True)
class Resize:
    """How images of a model are resized."""

    mode: ResizeMode

    canvas_px: tuple[int, int]
    """Height and width."""

    interpolation: Interpolation = "linear"

    crop_ratio: float = 1.0
    """Part of the shorter edge that a centre crop keeps, above 0 and up to 1."""

    def apply(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], CanvasGeometry]:
        """uint8 (height, width, 3), of any colour order, onto the canvas, and where it lies there.

        A crop, which only classifiers have, has the geometry of a stretch.
        """
        if self.mode == "letterbox":
            return letterbox(pixels, self.canvas_px)
        geometry = Stretch((pixels.shape[0], pixels.shape[1]), self.canvas_px)
        if self.mode == "stretch":
            return _resized(pixels, self.canvas_px, self.interpolation), geometry
        return self._centre_crop(pixels), geometry

    def _centre_crop(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = self.canvas_px
        pixels = middle_of(pixels, max(_MOST_ELONGATED, 2 * -(-max(height, width) // min(height, width))))
        edges = [round(side / self.crop_ratio, 6) for side in self.canvas_px]
        gain = max(edges[0] / pixels.shape[0], edges[1] / pixels.shape[1])
        # torchvision cuts fractions of a pixel off; a millionth guards against a side just below a whole number.
        size = max(height, int(pixels.shape[0] * gain + 1e-6)), max(width, int(pixels.shape[1] * gain + 1e-6))
        resized = _resized(pixels, size, self.interpolation)
        top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
        return np.ascontiguousarray(resized[top : top + height, left : left + width])


def middle_of(pixels: NDArray[np.uint8], most_elongated: int) -> NDArray[np.uint8]:
    """The middle of an image that is more than this many times as long as it is wide; else the image."""
    limit = min(pixels.shape[:2]) * most_elongated
    top, left = (max(0, side - limit) // 2 for side in pixels.shape[:2])
    return pixels[top : top + limit, left : left + limit]


def _resized(pixels: NDArray[np.uint8], size_px: tuple[int, int], interpolation: Interpolation) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size_px:
        return pixels
    width_height = size_px[1], size_px[0]
    if interpolation == "linear":
        return np.asarray(cv2.resize(pixels, width_height, interpolation=cv2.INTER_LINEAR), np.uint8)
    image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(width_height, _PILLOW[interpolation]))
