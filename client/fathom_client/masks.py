"""The pixels of an object, as COCO stores them: compressed run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

MOST_PIXELS = 256_000_000
"""A mask beyond this is no mask of an image that the server reads."""


@dataclass(frozen=True, slots=True)
class Mask:
    """size: height, width of the mask's own grid, which covers the image and may be coarser than it.
    counts: COCO's compressed run lengths, column by column."""

    size: tuple[int, int]
    counts: str

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Self:
        """From the server's JSON. Raises KeyError, TypeError and ValueError."""
        height, width = members["size"]
        return cls((int(height), int(width)), str(members["counts"]))

    def coco(self) -> dict[str, Any]:
        """As pycocotools and its kin take it: `pycocotools.mask.decode(mask.coco())`."""
        return {"size": list(self.size), "counts": self.counts}

    def array(self) -> NDArray[np.bool_]:
        """(height, width), true inside; needs NumPy. Raises ValueError where the run lengths do not fill the grid."""
        import numpy as np

        height, width = self.size
        lengths = run_lengths(self.counts)
        if height * width > MOST_PIXELS or min(lengths, default=0) < 0 or sum(lengths) != height * width:
            raise ValueError(f"the run lengths do not fill a mask of {height} x {width}")
        is_inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(is_inside, lengths).reshape((height, width), order="F")


def run_lengths(counts: str) -> list[int]:
    """Decodes COCO's text: base 32 in characters from '0' on, low digits first, bit 6 says that more follow, and from
    the fourth number on the difference to the last but one (rleFrString of cocoapi's maskApi.c)."""
    lengths: list[int] = []
    value, shift = 0, 0
    for character in counts:
        digit = ord(character) - 48
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value, shift = 0, 0
    return lengths
