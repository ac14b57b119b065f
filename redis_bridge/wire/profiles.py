"""A queue's wire format as configuration: how its jobs carry an image, and what its answers look like.

Settings only: no job is read and no answer written here. A profile is the name of a preset, or a mapping with the
fields below, which changes a preset where one is named.
"""

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from deployments.definition import Name, Settings
from deployments.text.nearest_name import nearest_of
from redis_bridge import keys
from redis_bridge.wire.encodings import DEFAULT_ENCODING, ENCODINGS
from redis_bridge.wire.presets import DEFAULT, PRESETS

MAX_SIDE_PX = 65535
"""Longest side of an image whose size is given in numbers."""

FIELDS_OF_THE_WIRE = frozenset({"id", "height", "width", "h", "w", "shape", "done_list"})
"""Names of job fields that have a meaning on every queue."""

DType = Literal["uint8", "float32"]
"""Types of pixels; float32 is little-endian."""


class AnswerFormat(StrEnum):
    """The shapes of an answer; `answers.py` writes them."""

    DETECTIONS = "detections"
    DETECTIONS_NESTED_SCORES = "detections-nested-scores"
    DETECTIONS_BOX_AS_TEXT = "detections-box-as-text"
    DETECTIONS_AS_TEXT = "detections-as-text"
    CLASS_SCORES = "class-scores"
    LABEL_PROBABILITY = "label-probability"
    XYWH_SCORE_CLASS = "xywh-score-class"
    LABEL_CONFIDENCE_BOX = "label-confidence-box"
    BOXES_AND_CONFIDENCES = "boxes-and-confidences"
    SEGMENTS = "segments"
    OUTLINES = "outlines"
    ONE_OUTLINE = "one-outline"


class QueueProfile(Settings):
    """The wire format of one queue."""

    preset: str = DEFAULT
    """The known format that fills in every field not given."""

    encoding: str = DEFAULT_ENCODING
    """How the fields of a job and the answer are written as bytes."""

    image_field: str = Field(default="image", min_length=1, max_length=128)
    """Field of a job that holds its image."""

    image: Literal["auto", "pixels", "file"] = "auto"
    """What that field holds: `pixels` in C order, a `file`, or `auto`: by its length and beginning."""

    dtype: Literal["auto", "uint8", "float32"] = "auto"
    """Type of the pixels: `uint8`, little-endian `float32`, or `auto`: by their length."""

    channels: Literal[1, 3] = 3
    """Values of a pixel: 3, or 1 for grey. A `shape` of three or four numbers overrides it."""

    channel_order: Literal["auto", "rgb", "bgr"] = "auto"
    """`rgb`, `bgr`, or `auto`: `bgr` for float32 as it is and for `caffe`, otherwise `rgb`."""

    shape_from: Literal["auto", "height-width", "h-w", "shape", "fixed"] = "auto"
    """What gives the size: `height-width`, `h-w`, `shape`, `fixed`, or `auto`: the first of them that is present."""

    fixed_shape_px: tuple[int, int] | None = None
    """Height and width of every image, for jobs that do not say."""

    preprocessing: Literal["none", "caffe", "tf", "torch", "unit"] = "none"
    """What is undone: `caffe`, `tf` or `torch` of Keras' `preprocess_input`, `unit` (values from 0 to 1), `none`."""

    image_key_field: str | None = Field(default=None, min_length=1, max_length=128)
    """Field that may name a Redis key with the image file, for jobs without `image_field`."""

    model_field: str | None = Field(default=None, min_length=1, max_length=128)
    """Field in which a job may name its model; without it the queue's own model answers."""

    models: dict[str, Name] = Field(default={})
    """Names in that field -> models of this system; empty when they are the same."""

    result_key: str = Field(default="{id}", max_length=256)
    """Key of the answer; `{id}` stands for the job's id."""

    result_ttl_s: int | None = Field(default=None, ge=1)
    """How long an answer is kept; None for the bridge's own `result_ttl_s`."""

    answer: AnswerFormat = AnswerFormat.DETECTIONS
    """Shape of the answer."""

    top_classes: int = Field(default=5, ge=1, le=1000)
    """At most this many labels in an answer of the shape `label-probability`."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_preset(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"preset": given}
        if not isinstance(given, dict):
            return given
        name = given.get("preset", DEFAULT)
        if not isinstance(name, str) or name not in PRESETS:
            raise ValueError(f"no preset is called {name!r}; {nearest_of(name, PRESETS)}")
        return {**PRESETS[name], **given}

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, name: str) -> str:
        if name not in ENCODINGS:
            raise ValueError(f"no encoding is called {name!r}; {nearest_of(name, ENCODINGS)}")
        return name

    @model_validator(mode="after")
    def _image_field_is_free(self) -> Self:
        if self.image_field in FIELDS_OF_THE_WIRE | {self.image_key_field, self.model_field}:
            raise ValueError(f"image_field must be a field of its own, got {self.image_field!r}")
        return self

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if self.shape_from == "fixed" and self.fixed_shape_px is None:
            raise ValueError("fixed_shape_px is missing: shape_from is fixed")
        if self.fixed_shape_px is not None and not all(1 <= side <= MAX_SIDE_PX for side in self.fixed_shape_px):
            raise ValueError(f"fixed_shape_px must be from 1 to {MAX_SIDE_PX}, got {list(self.fixed_shape_px)}")
        if self.preprocessing != "none" and self.dtype == "uint8":
            raise ValueError(f"preprocessing {self.preprocessing} gives float32, but dtype is uint8")
        if self.models and self.model_field is None:
            raise ValueError("model_field is missing: models needs the field that names them")
        return self

    @model_validator(mode="after")
    def _result_key_belongs_to_the_job(self) -> Self:
        if self.result_key.count("{id}") != 1 or not self.result_key.isprintable():
            raise ValueError(f"result_key must hold {{id}} once and be printable, got {self.result_key!r}")
        if keys.is_reserved(self.result_key):
            raise ValueError(f"result_key must not begin like a key of this system, got {self.result_key!r}")
        return self

    def order_of(self, dtype: DType) -> Literal["rgb", "bgr"]:
        """The order of the channels in pixels of this type."""
        if self.channel_order != "auto":
            return self.channel_order
        return "bgr" if dtype == "float32" and self.preprocessing in ("none", "caffe") else "rgb"

    def answer_key_of(self, job_id: str) -> str:
        """The key under which the client of this job waits."""
        return self.result_key.replace("{id}", job_id)


CVISIONAI = QueueProfile()
"""The format of every queue that has no profile."""
