"""What a door asks of a model: an image, options and the time that is left.

Requests cross process borders by pickle; the arrays in them travel by reference and arrive READ-ONLY.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from deployments.classes.labels import MAX_LABELS_BYTES
from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.origin import Origin
from deployments.process.message import message
from deployments.text.short_number import short_number

MAX_DETECTIONS_LIMIT = 1000
MAX_DEADLINE_S = 3600.0

MAX_REGIONS = 16

SHOWN_CHARACTERS = 64
"""Characters of a label that a message shows: it may be a whole file."""


@message
@dataclass(frozen=True, slots=True)
class Image:
    """An image, either still encoded or as pixels; exactly one of the two is set.

    encoded: 1-D uint8, the bytes of a JPEG, PNG, ... file. An array and not `bytes`, since arrays are passed
        between processes without a copy.
    pixels: uint8 RGB, height x width x 3, C order.
    """

    encoded: NDArray[np.uint8] | None = None
    pixels: NDArray[np.uint8] | None = None

    @classmethod
    def from_encoded(cls, data: bytes | bytearray | memoryview) -> Self:
        """The image file in `data`, not decoded and not checked yet; no copy is made."""
        return cls(encoded=np.frombuffer(data, np.uint8))

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.uint8]) -> Self:
        """RGB uint8 pixels, height x width x 3.

        Raises InvalidRequest when shape or dtype differ.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise InvalidRequest(
                f"pixels must be uint8 (height, width, 3), got {pixels.dtype} of shape {pixels.shape}"
            )
        return cls(pixels=np.ascontiguousarray(pixels))

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        array = self.encoded if self.pixels is None else self.pixels
        return 0 if array is None else array.nbytes


Region = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels of the image; x2 and y2 are exclusive."""


@message
@dataclass(frozen=True, slots=True)
class Options:
    """Run-time inputs of postprocessing; None means the model's own live knob.

    score_threshold: 0 to 1, for all classes or by label; "*" stands for the labels that are not named.
    iou_threshold: 0 to 1.  max_detections: 1 to 1000.  classes: labels to keep.
    tiling: how a large image is cut; "off" looks at it as a whole, whatever the model's own knob.
    regions: x1, y1, x2, y2 in pixels of the image, x2 and y2 exclusive; only these parts of it are looked at.
    """

    score_threshold: float | Mapping[str, float] | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    classes: tuple[str, ...] | None = None
    tiling: Tiling | Literal["off"] | None = None
    regions: tuple[Region, ...] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.score_threshold, Mapping):
            for label, value in self.score_threshold.items():
                _check_share(f"score_threshold of {label[:SHOWN_CHARACTERS]!r}", value)
        else:
            _check_share("score_threshold", self.score_threshold)
        _check_share("iou_threshold", self.iou_threshold)
        if self.max_detections is not None and not 1 <= self.max_detections <= MAX_DETECTIONS_LIMIT:
            got = short_number(self.max_detections)
            raise InvalidRequest(f"max_detections must be between 1 and {MAX_DETECTIONS_LIMIT}, got {got}")
        if self.regions is not None:
            _check_regions(self.regions)
        self._check_labels()

    @property
    def cuts(self) -> bool:
        """Whether the request itself asks for parts of the image."""
        return self.tiling is not None or self.regions is not None

    def _check_labels(self) -> None:
        """Options go to the model once for each image of a request."""
        by_label = self.score_threshold if isinstance(self.score_threshold, Mapping) else {}
        characters = sum(map(len, by_label)) + sum(map(len, self.classes or ()))
        if characters > MAX_LABELS_BYTES:
            raise InvalidRequest(
                f"classes and score_threshold hold labels of {characters} characters, more than all of a model may "
                f"have, which is {MAX_LABELS_BYTES}"
            )


def _check_regions(regions: Sequence[Region]) -> None:
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise InvalidRequest(f"regions must be 1 to {MAX_REGIONS} regions, got {len(regions)}")
    for index, region in enumerate(regions):
        x1, y1, x2, y2 = region
        if not (0 <= x1 < x2 and 0 <= y1 < y2):
            raise InvalidRequest(f"regions[{index}] must have 0 <= x1 < x2 and 0 <= y1 < y2, got {region}")


def _check_share(field: str, value: float | None) -> None:
    if value is not None and not 0.0 <= value <= 1.0:
        raise InvalidRequest(f"{field} must be between 0 and 1, got {short_number(value)}")


@message
@dataclass(frozen=True, slots=True)
class Request:
    """One image for one model.

    deadline_s: seconds that are left, counted from when the request is sent on. A span and not a clock time,
        since clocks of two machines differ. An expired request is not inferred.
    waiting_behind: images that wait for the same model where this one came from; None where nobody knows. A hint
        for autoscaling, without effect on this request.
    request_id, traceparent: its `origin`, for logs and traces; '' and None where nobody looks for it. Not one field
        of a type of its own, which would take 20 us to pickle.
    """

    image: Image
    options: Options = Options()
    deadline_s: float = 60.0
    waiting_behind: int | None = None
    request_id: str = ""
    traceparent: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.deadline_s <= MAX_DEADLINE_S:
            raise InvalidRequest(
                f"deadline_s must be above 0 and at most {MAX_DEADLINE_S:g}, got {self.deadline_s:g}"
            )

    @property
    def origin(self) -> Origin | None:
        """Where the request came from, if it says so."""
        return Origin(self.request_id, self.traceparent) if self.request_id else None
