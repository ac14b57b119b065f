"""What a format is: one image's answer, and the function that writes several of them down."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deployments.classes.taxa import Taxon
from deployments.errors import InvalidRequest
from deployments.prediction import ClassScores, Detections, Embedding, Prediction, Result

MAX_WRITTEN_BYTES = 64 * 2**20
"""Of one answer in any of the formats."""

ZIP = ("application/zip", "zip")

EXPRESSED_BY: Mapping[type[Result], tuple[str, ...]] = {
    Detections: (
        "coco",
        "coco-dataset",
        "dwc",
        "fathomnet-csv",
        "megadetector",
        "picture",
        "picture-png",
        "tator",
        "vars",
        "viame-csv",
        "voc",
    ),
    ClassScores: ("dwc", "megadetector"),
    Embedding: (),
}
"""Which formats can express which kind of answer. JSON, which the faces write themselves, expresses all of them."""


class NotAcceptable(Exception):
    """Nothing that the client accepts is written here: HTTP's 406. The message names what is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One image's answer.

    file_name: as the client sent it, else "image-1.jpg" and so on; no folder in it.
    encoded: the image file, for a format with `needs_images`; else None.
    taxa: of the labels, from the definition of the model that answered.
    """

    file_name: str
    prediction: Prediction
    encoded: bytes | memoryview | None
    taxa: Mapping[str, Taxon] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """How answers are written.

    media_type, extension: of the answer for one image. Those for several are `file_type(count)`.
    write: the bytes for one image or several. Takes up to seconds of processor time with `needs_images`, so it is for
        a thread. Raises InvalidRequest for a kind of answer that the format cannot express, and for one that is too
        large.
    needs_images: whether `Answer.encoded` must be there.
    is_file_each: whether several images become a zip with one file for each.
    """

    media_type: str
    extension: str
    write: Callable[[Sequence[Answer]], bytes]
    needs_images: bool = False
    is_file_each: bool = False

    def file_type(self, images: int) -> tuple[str, str]:
        """The media type and the extension of what `write` returns for so many images."""
        return ZIP if self.is_file_each and images != 1 else (self.media_type, self.extension)


def detections_in(answer: Answer, name: str) -> Detections:
    """The detections of `answer`. Raises InvalidRequest where it has none, and format `name` nothing else."""
    result = answer.prediction.result
    if isinstance(result, Detections):
        return result
    raise cannot_express(answer, name)


def cannot_express(answer: Answer, name: str) -> InvalidRequest:
    """The error for an answer of a kind that format `name` has no words for."""
    result = answer.prediction.result
    formats = ", ".join(["json", *EXPRESSED_BY[type(result)]])
    return InvalidRequest(
        f"format {name} cannot express what {answer.prediction.model} answers, which is {result.what}: use {formats}"
    )


def within_limit(written: bytes) -> bytes:
    """`written` itself. Raises InvalidRequest where it is larger than an answer may be."""
    if len(written) > MAX_WRITTEN_BYTES:
        raise too_large()
    return written


def too_large() -> InvalidRequest:
    """The error for an answer that would have too many bytes."""
    return InvalidRequest(
        f"the answer would have more than {MAX_WRITTEN_BYTES} bytes in this format: send fewer images at a time, or "
        "lower max_detections"
    )
