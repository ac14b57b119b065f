"""What is known of an image before it is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.errors import InvalidImage

MAX_PARTS = 65_536
"""Segments, chunks, blocks or strips of one file. A PNG of 64 MiB in pieces of 1 KiB has as many."""


@dataclass(slots=True)  # A frozen one takes microseconds to make.
class Header:
    """kind: the format.  parts: what a decoder needs; joined they are a file of the same kind.

    effort_px: what decoding it costs beyond its pixels, in pixels of an ordinary file.
    orientation: 1 to 8, as in EXIF.  samples: TIFF only, the type of its samples in words.  bits, is_white_zero: TIFF
    only, of one sample, and whether the value 0 is white.
    """

    kind: str
    height_px: int
    width_px: int
    parts: Sequence[bytes | memoryview] = field(repr=False)
    orientation: int = 1
    samples: str = ""
    bits: int = 16
    is_white_zero: bool = False
    effort_px: int = 0


class Kept:
    """The part of a file from `start` on of which some is left out."""

    def __init__(self, data: memoryview, start: int = 0) -> None:
        self._data = data
        self._start = start
        self._parts: list[memoryview] = []

    def skip(self, start: int, end: int) -> None:
        """Leaves out bytes from `start` to before `end`, which lie behind all that was left out before."""
        if start > self._start:
            self._parts.append(self._data[self._start : start])
        self._start = end

    def parts(self) -> list[memoryview]:
        """What is kept, without a copy."""
        return [*self._parts, self._data[self._start :]]


def damaged(what: str) -> InvalidImage:
    """The error for a file that breaks off or contradicts itself."""
    return InvalidImage(f"the image is damaged: {what}")


def not_read(samples: str) -> InvalidImage:
    """The error for a file whose samples have no known black and white, or are too rare. samples: which, in words."""
    return InvalidImage(f"the image has {samples}, which are not read; convert it to grey or RGB of 8 or 16 bits")


def too_many(kind: str, parts: str) -> InvalidImage:
    """The error for a file in more pieces than are looked at."""
    return InvalidImage(f"the {kind} file has more than {MAX_PARTS} {parts}, which is the limit")
