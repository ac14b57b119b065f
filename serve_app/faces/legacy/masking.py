"""Cuts one animal out of a frame along its outline, as the legacy server did. Pure; knows no worker and no route."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.errors import InternalError

MARGIN = 0.01
"""The mask grows by this part of the image's width, so that a tight outline does not cost the animal's edge."""

_FAR_PX = 2.0**20
"""Beyond any image, and what whole numbers of 32 bits can hold."""


def cut_out(pixels: NDArray[np.uint8], outline: Sequence[Sequence[float]]) -> NDArray[np.uint8]:
    """`pixels` inside `outline` and black outside.

    pixels: RGB uint8 (height, width, 3).  outline: [[x, y], ...] in pixels of the image. Raises InternalError for
    an outline that is none.
    """
    try:
        corners = np.asarray(outline, np.float64)
    except (TypeError, ValueError):
        corners = np.empty((0, 0))
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise InternalError("the outline of an animal must be a list of points [x, y]")
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(np.clip(corners, -_FAR_PX, _FAR_PX)).astype(np.int32)], 255)
    side_px = int(width * MARGIN)
    # For an image below 100 pixels the kernel is empty, which OpenCV takes for one of 3 x 3.
    grown = cv2.dilate(mask, np.ones((side_px, side_px), np.uint8))
    return np.where(grown[:, :, None] == 255, pixels, np.uint8(0))
