"""What a definition declares about a network that somebody else made: the `parameters` of the generic families."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from deployments.definition import Settings
from deployments.errors import ModelUnavailable

_DETECTOR_FIELDS = frozenset(
    {
        "outputs",
        "boxes",
        "classes",
        "detections",
        "box_format",
        "box_unit",
        "has_nms",
        "first_class_id",
        "class_agnostic",
        "candidates",
    }
)


def _three_numbers(value: object) -> object:
    """One number stands for all three channels; three may be written as text, `0.485, 0.456, 0.406`."""
    if isinstance(value, str):
        return tuple(value.split(","))
    return (value,) * 3 if isinstance(value, int | float) else value


Channels = Annotated[tuple[float, float, float], BeforeValidator(_three_numbers)]


class GenericParameters(Settings):
    """The `parameters` of a model of a generic family in YAML."""

    task: Literal["detector", "classifier"]
    """What the network does; always given."""

    resize: Literal["letterbox", "stretch", "centre-crop"] | None = None
    """How an image gets onto the canvas: with a grey border, out of shape, or without its margins. `letterbox` for
    detectors and `centre-crop` for classifiers, which alone can have it, when not given."""

    crop_ratio: float = Field(default=1.0, gt=0, le=1)
    """Part of the resized image's shorter edge that `centre-crop` keeps, such as 0.875 for 224 of 256 pixels."""

    interpolation: Literal["linear", "antialiased", "bicubic"] = "linear"
    """`linear` as OpenCV resizes; `antialiased` and `bicubic` as Pillow and torchvision do. `letterbox` has only
    the first."""

    channels: Literal["rgb", "bgr"] = "rgb"
    """The order of the colours in the network's input."""

    layout: Literal["nhwc", "nchw"] | None = None
    """Whether colours are the last or the second axis; seen from the file when not given."""

    pixel_range: Literal["0..255", "0..1", "-1..1"] = "0..255"
    """What black and white become, before `mean` and `std`."""

    mean: Channels = (0.0, 0.0, 0.0)
    """Subtracted from each channel, in the network's order of channels and in the units of `pixel_range`."""

    std: Channels = (1.0, 1.0, 1.0)
    """What each channel is divided by after that."""

    activation: Literal["none", "sigmoid", "softmax"] = "none"
    """What turns the scores into probabilities; `none` where they are that already."""

    scores: str | None = None
    """Name of the output with the scores; the only output when not given."""

    outputs: Literal["separate", "raw-head", "raw-head-objectness", "queries", "end-to-end"] = "separate"
    """Of a detector: `boxes`, `scores` and perhaps `classes` as outputs of their own; or one tensor: (n, 4 + classes,
    cells) of ultralytics, (n, cells, 5 + classes) of YOLOv5, (n, queries, 4 + classes) of RT-DETR, which answers once
    for each object, or (n, boxes, 6) with NMS inside."""

    boxes: str | None = None
    """Name of the output with the boxes, (n, k, 4)."""

    classes: str | None = None
    """Name of the output with class numbers, (n, k); not given where the scores are (n, k, classes)."""

    detections: str | None = None
    """Name of the one tensor, where the file has other outputs too."""

    box_format: Literal["xyxy", "yxyx", "xywh", "cxcywh"] | None = None
    """Corners, corner and size, or centre and size. `cxcywh` for raw heads and queries, else `xyxy`, when not
    given."""

    box_unit: Literal["pixels", "normalised"] | None = None
    """Pixels of the canvas, or parts of its sides. `normalised` for queries, else `pixels`, when not given."""

    has_nms: bool = False
    """Whether overlapping boxes have been removed inside the network, so that `iou_threshold` has no effect."""

    first_class_id: int = Field(default=0, ge=0, le=1000)
    """The number of the first label: 1 where the network counts a background class first, which is dropped."""

    class_agnostic: bool = False
    """Whether boxes of different classes suppress each other."""

    candidates: int = Field(default=3000, ge=1, le=30_000)
    """Best boxes of an image that reach NMS."""

    @model_validator(mode="after")
    def _fits_the_task(self) -> Self:
        foreign = sorted(_DETECTOR_FIELDS & self.model_fields_set)
        if self.task == "classifier" and foreign:
            raise ValueError(f"{', '.join(foreign)}: only detectors have that")
        if self.task == "detector" and self.resize == "centre-crop":
            raise ValueError("resize: centre-crop would hide what lies in the margins from a detector")
        if self.resize_mode == "letterbox" and self.interpolation != "linear":
            raise ValueError(f"interpolation: {self.interpolation} goes with stretch and centre-crop only")
        if self.resize_mode != "centre-crop" and "crop_ratio" in self.model_fields_set:
            raise ValueError("crop_ratio: goes with resize: centre-crop only")
        if min(self.std) <= 0:
            raise ValueError(f"std: {self.std} must be above 0")
        return self._with_fitting_names()

    def _with_fitting_names(self) -> Self:
        if self.task == "detector" and self.outputs == "separate":
            if self.boxes is None or self.scores is None:
                raise ValueError("boxes and scores: the names of these outputs are needed with outputs: separate")
            if self.detections is not None:
                raise ValueError("detections: names the tensor of the other kinds of outputs")
        elif self.task == "detector" and (self.boxes or self.scores or self.classes):
            raise ValueError(f"boxes, scores, classes: all in one tensor with outputs: {self.outputs}")
        if self.classes is not None and self.activation == "softmax":
            raise ValueError("activation: softmax needs the scores of all classes, but classes names their numbers")
        return self

    @property
    def are_boxes_normalised(self) -> bool:
        """`box_unit` with its default filled in."""
        return (self.box_unit or ("normalised" if self.outputs == "queries" else "pixels")) == "normalised"

    @property
    def answers_once(self) -> bool:
        """Whether there is nothing left for NMS to remove."""
        return self.has_nms or self.outputs in ("queries", "end-to-end")

    @property
    def resize_mode(self) -> Literal["letterbox", "stretch", "centre-crop"]:
        """`resize` with its default filled in."""
        return self.resize or ("letterbox" if self.task == "detector" else "centre-crop")

    @property
    def output_names(self) -> tuple[str | None, ...]:
        """The outputs that are read, in the order in which they are decoded; None for the only one."""
        if self.task == "classifier":
            return (self.scores,)
        if self.outputs != "separate":
            return (self.detections,)
        return (self.boxes, self.scores) if self.classes is None else (self.boxes, self.scores, self.classes)


class SavedModelParameters(GenericParameters):
    """The `parameters` of a SavedModel in YAML: those of every generic family, and one more."""

    signature: str = "serving_default"
    """Which of the file's signatures is called; of `saved-model` only."""


def pick_outputs(named: Mapping[str, Any], parameters: GenericParameters) -> tuple[Any, ...]:
    """The outputs that the definition names, in order. Raises ModelUnavailable for one that is not there."""
    picked = []
    for name in parameters.output_names:
        if name is None and len(named) != 1:
            field = "scores" if parameters.task == "classifier" else "detections"
            raise ModelUnavailable(
                f"the network has {len(named)} outputs ({', '.join(named)}), so parameters.{field} must name one"
            )
        if name is not None and name not in named:
            raise ModelUnavailable(f"the network has no output {name!r}; it has: {', '.join(named)}")
        picked.append(next(iter(named.values())) if name is None else named[name])
    return tuple(picked)
