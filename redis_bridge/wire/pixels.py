"""The values of a legacy image as RGB uint8 pixels: BGR, float32 and preprocessing end here. Pure.

The modes are those of Keras' `imagenet_utils.preprocess_input`, which servers of the pyimagesearch family apply
before they queue an image. Sources of the constants: keras.applications.imagenet_utils.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidImage
from redis_bridge.wire.profiles import QueueProfile

# Images are converted in several threads of ours at once; OpenCV's own threads would only compete with them.
cv2.setNumThreads(1)

_SURELY_CLIPPED_RIGHT = 2.0**30
"""Below it values fit the 32-bit numbers that OpenCV rounds to; above it they would wrap around."""

SAMPLES = 256
MARGIN = 30.0
"""How far values may lie outside 0 to 255, as a resampling filter overshoots; beyond it they are not an image."""


class _Undo(NamedTuple):
    """0..255 = value * scale + offset, each for red, green and blue."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]


_UNDO = {
    "caffe": _Undo((1.0, 1.0, 1.0), (123.68, 116.779, 103.939)),
    "tf": _Undo((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": _Undo((0.229 * 255, 0.224 * 255, 0.225 * 255), (0.485 * 255, 0.456 * 255, 0.406 * 255)),
    "unit": _Undo((255.0, 255.0, 255.0), (0.0, 0.0, 0.0)),
}


def rgb_from_integers(values: NDArray[np.uint8], profile: QueueProfile) -> NDArray[np.uint8]:
    """uint8 (height, width, 1 or 3) in the profile's order of channels as RGB of the same size."""
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    return values if profile.order_of("uint8") == "rgb" else values[:, :, ::-1]


def rgb_from_floats(values: NDArray[np.float32], profile: QueueProfile) -> NDArray[np.uint8]:
    """float32 (height, width, 1 or 3) as RGB uint8 of the same size, the profile's preprocessing undone.

    Raises InvalidImage for values that are not finite, or that the profile cannot mean.
    """
    order = profile.order_of("float32")
    if values.shape[2] == 1:
        values, order = np.repeat(values, 3, axis=2), "rgb"
    _refuse_what_is_not_meant(values, order, profile)
    if profile.preprocessing != "none":
        scale, offset = _factors(profile.preprocessing, order)
        values = values * scale + offset
    swapped = rgb_from_bgr(values)
    return swapped if order == "bgr" else swapped[:, :, ::-1]


def rgb_from_bgr(bgr: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 BGR (height, width, 3), 0 to 255, as uint8 RGB of the same size: rounded half to even, clipped.

    Raises InvalidImage for values that are not finite.
    """
    # Four passes over memory in OpenCV, which lets other threads run meanwhile, take a quarter of NumPy's time.
    largest = total = cv2.norm(bgr, cv2.NORM_L1)
    if not math.isfinite(total):
        raise InvalidImage("image holds values that are not finite (NaN or infinity)")
    if total >= _SURELY_CLIPPED_RIGHT:
        largest = cv2.norm(bgr, cv2.NORM_INF)
    if largest >= _SURELY_CLIPPED_RIGHT:
        bgr = np.clip(bgr, 0, 255)
    # Adding nothing rounds half to even and clips.
    rounded = cv2.add(bgr, 0.0, dtype=cv2.CV_8U)
    return np.asarray(cv2.cvtColor(rounded, cv2.COLOR_BGR2RGB, dst=rounded), np.uint8)


def _factors(preprocessing: str, order: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    step = 1 if order == "rgb" else -1
    undo = _UNDO[preprocessing]
    return np.array(undo.scale[::step], np.float32), np.array(undo.offset[::step], np.float32)


def _refuse_what_is_not_meant(values: NDArray[np.float32], order: str, profile: QueueProfile) -> None:
    """Looks at some of the pixels: an image preprocessed in another way would be answered, but wrongly."""
    pixels = values.reshape(-1, 3)
    # An odd step, or in widths that are powers of two it would see a single column.
    some = pixels[:: (len(pixels) // SAMPLES) | 1]
    restored = some
    if profile.preprocessing != "none":
        scale, offset = _factors(profile.preprocessing, order)
        restored = some * scale + offset
    lowest, highest = float(restored.min()), float(restored.max())
    if not math.isfinite(lowest) or not math.isfinite(highest):
        return  # The conversion looks at every value, and refuses them.
    if lowest < -MARGIN or highest > 255 + MARGIN:
        raise InvalidImage(
            f"image holds values from {some.min():g} to {some.max():g}, which are not those of an image with the "
            f"preprocessing {profile.preprocessing!r} of the queue's profile; known: none, {', '.join(_UNDO)}"
        )
    if profile.preprocessing == "none" and 0 < highest <= 1 and np.mean(restored != np.rint(restored)) > 0.5:
        raise InvalidImage(
            f"image holds values up to {highest:g}, which look scaled to 0..1, but the queue's profile has the "
            "preprocessing 'none'; 'unit' undoes the scaling"
        )
