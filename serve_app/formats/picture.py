"""The images themselves, with what was found drawn on them: masks, boxes, labels with scores, keypoints."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from deployments.errors import ImageTooLarge, InternalError, Overloaded
from deployments.images import SLOW_PX, ImageLimits, read_header, to_pixels
from deployments.request import Image
from serve_app.formats.archive import zipped
from serve_app.formats.boxes import Found, ImageRows, image_rows
from serve_app.formats.contract import Answer, within_limit
from serve_app.formats.file_names import EntryNames

LIMITS = ImageLimits()
"""Of all images of one answer together: pixels and decoding time are those that one image may have anywhere."""

JPEG_QUALITY = 90
PNG_LEVEL = 1
"""zlib's fastest: a third of the time of its usual one for a few percent of size."""

MASK_OPACITY = 0.45
BAND_PX = 256
"""Rows that are coloured at a time, so that memory stays below a copy of the image."""

SHOWN_CHARACTERS = 40
"""Of a label."""

MAX_JPEG_SIDE_PX = 65_500
"""Of a JPEG that libjpeg writes; it reads a few more."""

MAX_LETTERS_PX = 64
"""Height of letters; a thousand labels in larger ones take seconds."""

COLOURS = (
    (0x4F, 0xE3, 0xD2), (0xFF, 0xB4, 0x54), (0xFF, 0x8F, 0xC0), (0x9E, 0xCB, 0xFF),
    (0xC8, 0xF1, 0x69), (0xD6, 0xB3, 0xFF), (0xFF, 0x9F, 0x80), (0xF5, 0xE6, 0x63),
)  # fmt: skip
"""Those of the page, light enough for dark water and for black letters. A class keeps its colour."""

Colour = tuple[int, int, int]

PATIENCE_S = 15.0
"""How long a large picture waits for others: a face waits 25 s for all that it needs."""

_one_large = threading.Lock()
"""Large pictures are drawn one after the other in a process: one of 64 megapixels takes 0.6 GB and seconds."""


def write_jpeg(answers: Sequence[Answer]) -> bytes:
    """The picture for one image, a zip of them for several. Raises ImageTooLarge where the images together have more
    pixels than one may have, or take longer to decode; Overloaded while other large pictures are being drawn."""
    return _written(answers, "picture", "jpg")


def write_png(answers: Sequence[Answer]) -> bytes:
    """The same as PNG, without loss and several times as large."""
    return _written(answers, "picture-png", "png")


def _written(answers: Sequence[Answer], name: str, extension: str) -> bytes:
    images = list(image_rows(answers, name))
    _check_sizes(images, extension)
    with in_turn(_pixels_together(images)):
        pictures = _pictures(answers, images, extension)
        if len(images) == 1:
            return within_limit(next(pictures)[1])
        return zipped(pictures, is_compressed=False)


@contextmanager
def in_turn(pixel_count: int, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """For pictures of so many pixels together: large ones one after the other. Raises Overloaded when it takes longer
    than `patience_s` until it is their turn."""
    if pixel_count <= SLOW_PX:
        yield
        return
    if not _one_large.acquire(timeout=patience_s):
        raise Overloaded("other large pictures are being drawn")
    try:
        yield
    finally:
        _one_large.release()


def _pictures(answers: Sequence[Answer], images: Sequence[ImageRows], extension: str) -> Iterator[tuple[str, bytes]]:
    names = EntryNames()
    left_s = LIMITS.max_decode_cpu_s
    for answer, image in zip(answers, images, strict=True):
        began_s = time.thread_time()
        pixels = _pixels(answer, image, ImageLimits(max_decode_cpu_s=left_s))
        left_s = max(left_s - (time.thread_time() - began_s), 0.0)
        yield names.next_after(image.file_name, extension), _encoded(drawn(pixels, image), extension)


def drawn(pixels: NDArray[np.uint8], image: ImageRows) -> PIL.Image.Image:
    """A picture of RGB `pixels` (height, width, 3) with the detections; the best ones on top."""
    picture = PIL.Image.fromarray(_with_masks(pixels, image))
    pen = _Pen(picture)
    for found in reversed(image.found):
        pen.draw(image, found)
    return picture


class _Pen:
    """Draws on one picture, with lines and letters that suit its size."""

    def __init__(self, picture: PIL.Image.Image) -> None:
        shorter_px = min(picture.size)
        self._size_px = picture.size
        self._draw = PIL.ImageDraw.Draw(picture)
        self._line_px = max(2, round(shorter_px / 360))
        self._font = PIL.ImageFont.load_default(min(max(12, round(shorter_px / 45)), MAX_LETTERS_PX))

    def draw(self, image: ImageRows, found: Found) -> None:
        """One detection."""
        colour, detections = _colour_of(found.class_id), image.detections
        if detections.corners is not None:
            corners = [(x, y) for x, y in detections.corners[found.row].tolist()]
            self._draw.line([*corners, corners[0]], colour, self._line_px, joint="curve")
        else:
            x1, y1, x2, y2 = found.whole_px
            self._draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour, width=self._line_px)
        if detections.keypoints is not None:
            for x, y, _ in detections.keypoints[found.row].tolist():
                self._draw.circle((x, y), 2 * self._line_px, fill=colour, outline=(0, 0, 0))
        self._label(found, colour)

    def _label(self, found: Found, colour: Colour) -> None:
        """Above the box; inside it where there is no room above, and never outside the picture."""
        text = f"{found.label[:SHOWN_CHARACTERS]} {found.score:.2f}"
        left, top, right, bottom = self._draw.textbbox((0, 0), text, self._font)
        pad = self._line_px
        width, height = right - left + 2 * pad, bottom - top + 2 * pad
        x1, y1, _, _ = found.whole_px
        x = max(0, min(x1, self._size_px[0] - width))
        y = y1 - height if y1 >= height else y1
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
        self._draw.text((x + pad - left, y + pad - top), text, (0, 0, 0), self._font)


def _with_masks(pixels: NDArray[np.uint8], image: ImageRows) -> NDArray[np.uint8]:
    """The pixels with the colour of the best detection over each that is in a mask."""
    # Most doors never draw a picture.
    import cv2

    masks = image.detections.masks
    if masks is None or len(masks) == 0:
        return pixels

    height, width = image.size_px
    rows, columns = masks.size_px
    owners = np.full((rows, columns), -1, np.int32)
    for found in reversed(image.found):
        part, first = masks.columns(found.row)
        owners[:, first : first + part.shape[1]][part > 0] = found.row
    colours = np.zeros((len(image.found) + 1, 3), np.uint8)  # the last one, which -1 picks, is not seen
    colours[:-1] = [_colour_of(one.class_id) for one in image.found]
    wide_owners = owners[:, np.arange(width) * columns // width]
    wide_colours, is_in = colours[wide_owners], (wide_owners >= 0).astype(np.uint8)
    coloured = pixels.copy()
    for top in range(0, height, BAND_PX):
        band = coloured[top : top + BAND_PX]
        row_of = np.arange(top, top + len(band)) * rows // height
        mixed = cv2.addWeighted(band, 1 - MASK_OPACITY, wide_colours[row_of], MASK_OPACITY, 0)
        cv2.copyTo(mixed, is_in[row_of], band)
    return coloured


def _check_sizes(images: Sequence[ImageRows], extension: str) -> None:
    if extension == "jpg" and max(max(one.size_px) for one in images) > MAX_JPEG_SIDE_PX:
        raise ImageTooLarge(f"a JPEG is written with up to {MAX_JPEG_SIDE_PX} pixels on a side: use picture-png")
    total = _pixels_together(images)
    if total > LIMITS.max_pixels:
        raise ImageTooLarge(
            f"the {len(images)} images have {total} pixels together, the limit for pictures is {LIMITS.max_pixels}: "
            "send fewer at a time"
        )


def _pixels_together(images: Sequence[ImageRows]) -> int:
    return sum(one.height_px * one.width_px for one in images)


def _pixels(answer: Answer, image: ImageRows, limits: ImageLimits) -> NDArray[np.uint8]:
    if answer.encoded is None:
        raise InternalError("a picture needs the image")
    encoded = Image.from_encoded(answer.encoded)
    header = read_header(encoded, limits).header
    if (header.height_px, header.width_px) != image.size_px:
        raise InternalError("a picture needs the image that the model saw")
    return to_pixels(encoded, limits)


def _encoded(picture: PIL.Image.Image, extension: str) -> bytes:
    written = io.BytesIO()
    if extension == "png":
        picture.save(written, "PNG", compress_level=PNG_LEVEL)
    else:
        picture.save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


def _colour_of(class_id: int) -> Colour:
    return COLOURS[class_id % len(COLOURS)]
