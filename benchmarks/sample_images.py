"""The images that are sent: made from a sample frame, so that they compress and decode as real ones do.

Knows image files only. Everything is drawn from fixed seeds: two runs send the same bytes.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from benchmarks.load.http_wire import Upload
from deployments.families.demo import SAMPLES_FOLDER

SMALL, HD, LARGE = "64px", "720p", "4mb"

LARGE_BYTES = 3_900_000
_LARGE_TOLERANCE = 0.03
_LARGE_SIZE_PX = (1920, 1080)
_SEED = 11
_FRAME = SAMPLES_FOLDER / "seafloor-1.png"


@dataclass(frozen=True, slots=True)
class SampleImage:
    """An image as a file. size_px: height, width."""

    name: str
    upload: Upload
    size_px: tuple[int, int]

    def pixels(self) -> NDArray[np.uint8]:
        """RGB uint8 (height, width, 3)."""
        with PIL.Image.open(io.BytesIO(self.upload.content)) as image:
            return np.asarray(image.convert("RGB"))


def sample_image(name: str, large_file: Path | None = None) -> SampleImage:
    """The image `name`: 64x64 PNG, 1280x720 JPEG, or a PNG of about 3.9 MB.

    large_file: an image file to send as the large image instead of a drawn one.
    """
    if name == SMALL:
        return _encoded(name, _frame((64, 64)), "PNG")
    if name == HD:
        return _encoded(name, _frame((1280, 720)), "JPEG", quality=90)
    if large_file is not None:
        content = large_file.read_bytes()
        with PIL.Image.open(io.BytesIO(content)) as image:
            size_px = image.height, image.width
            media_type = str(PIL.Image.MIME[str(image.format)])
        return SampleImage(name, Upload(content, large_file.name, media_type), size_px)
    return _large(name)


def _large(name: str) -> SampleImage:
    """A PNG whose grain is chosen by bisection so that the file has the wanted size."""
    frame = np.asarray(_frame(_LARGE_SIZE_PX), np.float32)
    grain = np.random.default_rng(_SEED).standard_normal(frame.shape[:2], np.float32)[..., None]
    low, high = 0.0, 16.0
    while True:
        middle = (low + high) / 2
        noisy = np.clip(frame + middle * grain, 0, 255).astype(np.uint8)
        drawn = _encoded(name, PIL.Image.fromarray(noisy), "PNG", compress_level=1)
        size_bytes = len(drawn.upload.content)
        if abs(size_bytes - LARGE_BYTES) <= _LARGE_TOLERANCE * LARGE_BYTES or high - low < 0.05:
            return drawn
        low, high = (middle, high) if size_bytes < LARGE_BYTES else (low, middle)


def _frame(size_px: tuple[int, int]) -> PIL.Image.Image:
    with PIL.Image.open(_FRAME) as frame:
        return frame.convert("RGB").resize(size_px, PIL.Image.Resampling.BICUBIC)


def _encoded(name: str, image: PIL.Image.Image, kind: str, **options: int) -> SampleImage:
    file = io.BytesIO()
    image.save(file, kind, **options)
    upload = Upload(file.getvalue(), f"frame.{kind.lower()}", f"image/{kind.lower()}")
    return SampleImage(name, upload, (image.height, image.width))
