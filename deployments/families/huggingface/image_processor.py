"""How an image gets onto the canvas, as `preprocessor_config.json` says: the image processors of ViT, BiT and DINOv3.

Sources: `models/{vit,bit,dinov3_vit}/image_processing_*.py` and `image_transforms.py` of `transformers`. Images are
resized by Pillow to whole numbers; torchvision's filters, which some releases take, differ from it by a step of 255
at most, and so does DINOv3's processor, which resizes fractions. The arithmetic on pixels is done in the graph.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from pydantic import Field, field_validator

from deployments.errors import ModelUnavailable
from deployments.families.huggingface.hub_folder import PROCESSOR, HubFile, read_object, validated
from deployments.families.shared.resize import middle_of

Side = Annotated[int, Field(ge=1, le=8192)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Numbers = Number | Annotated[list[Number], Field(min_length=3, max_length=3)]

_RESAMPLING = {
    0: PIL.Image.Resampling.NEAREST,
    2: PIL.Image.Resampling.BILINEAR,
    3: PIL.Image.Resampling.BICUBIC,
}
"""By Pillow's numbers. Of the others, releases of `transformers` make different pictures."""

_HALVES = [0.5, 0.5, 0.5]
_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


@dataclass(frozen=True, slots=True)
class _Kind:
    """What an image processor does where the file does not say."""

    size: Any
    resample: int
    mean: list[float]
    std: list[float]
    crops: bool = False
    is_number_an_edge: bool = False
    """Whether a size that is one number is that of the shortest edge, and not of both."""


_SQUARE = {"height": 224, "width": 224}
_VIT = _Kind(_SQUARE, 2, _HALVES, _HALVES)
_BIT = _Kind({"shortest_edge": 224}, 3, *_CLIP, crops=True, is_number_an_edge=True)
_DINOV3 = _Kind(_SQUARE, 2, *_IMAGENET)

_KINDS = {
    "ViTImageProcessor": _VIT,
    "ViTFeatureExtractor": _VIT,
    "BitImageProcessor": _BIT,
    "DINOv3ViTImageProcessor": _DINOV3,
}


class ProcessorConfig(HubFile):
    """The fields of these image processors."""

    do_resize: bool | None = None
    size: Any = None
    resample: int | None = None
    do_center_crop: bool | None = None
    crop_size: Any = None
    do_rescale: bool | None = None
    rescale_factor: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1 / 255
    do_normalize: bool | None = None
    image_mean: Numbers | None = None
    image_std: Numbers | None = None

    @field_validator("resample")
    @classmethod
    def _is_known(cls, resample: int | None) -> int | None:
        if resample is not None and resample not in _RESAMPLING:
            raise ValueError(f"resample {resample} is not served; 0 (nearest), 2 (bilinear) and 3 (bicubic) are")
        return resample

    @field_validator("image_std")
    @classmethod
    def _is_no_zero(cls, std: Any) -> Any:
        if std is not None and min(_three(std)) <= 0:
            raise ValueError("must be above 0")
        return std


@dataclass(frozen=True, slots=True)
class ImageProcessor:
    """A canvas from an image, and what the graph does with its pixels: `gain * pixel + offset`."""

    canvas_px: tuple[int, int]
    """Height and width."""

    shortest_edge_px: int | None
    """To what the shortest edge of an image is resized before its middle is cut out; None where both edges are
    resized to the canvas, out of shape."""

    resampling: PIL.Image.Resampling

    gain: tuple[float, float, float]
    """Of red, green and blue."""

    offset: tuple[float, float, float]

    def for_canvas(self, canvas_px: tuple[int, int]) -> "ImageProcessor":
        """The same for another canvas. Of an image that is cropped, the same part is seen. Raises ModelUnavailable
        for a crop that would not be square."""
        if canvas_px == self.canvas_px or self.shortest_edge_px is None:
            return replace(self, canvas_px=canvas_px)
        if canvas_px[0] != canvas_px[1] or self.canvas_px[0] != self.canvas_px[1]:
            raise ModelUnavailable(
                f"canvas_px {canvas_px} must be square, or {self.canvas_px}: {PROCESSOR} resizes the shortest edge"
            )
        edge_px = round(self.shortest_edge_px * canvas_px[0] / self.canvas_px[0])
        return replace(self, canvas_px=canvas_px, shortest_edge_px=edge_px)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 RGB (height, width, 3) to the canvas."""
        if self.shortest_edge_px is None:
            return self._resized(pixels, self.canvas_px)
        height, width = self.canvas_px
        # Of a thread of an image, only the middle is resized, which is all that the crop shows.
        pixels = middle_of(pixels, max(8, 2 * -(-max(height, width) // min(height, width))))
        edge, short = self.shortest_edge_px, min(pixels.shape[:2])
        rows, columns = (edge if side == short else int(edge * side / short) for side in pixels.shape[:2])
        resized = self._resized(pixels, (rows, columns))
        top, left = (rows - height) // 2, (columns - width) // 2
        return np.ascontiguousarray(resized[top : top + height, left : left + width])

    def _resized(self, pixels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
        if pixels.shape[:2] == size_px:
            return pixels
        image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
        return np.asarray(image.resize((size_px[1], size_px[0]), self.resampling))


def read_processor(folder: Path, usual: str) -> ImageProcessor:
    """The image processor of `folder`, of the kind `usual` where the file names none. Raises ModelUnavailable for one
    that is not known, or not served exactly."""
    content = read_object(folder, PROCESSOR)
    name = content.get("image_processor_type") or content.get("feature_extractor_type") or usual
    kind = _KINDS.get(str(name).removesuffix("Fast").removesuffix("Pil"))
    if kind is None:
        raise ModelUnavailable(
            f"{PROCESSOR}: the image processor {str(name)[:60]!r} is not served; known: {', '.join(_KINDS)}"
        )
    _refuse_other_steps(content)
    config = validated(ProcessorConfig, content, PROCESSOR)
    if config.do_resize is False:
        raise ModelUnavailable(f"{PROCESSOR}: do_resize is false, but images come in all sizes")
    resample = kind.resample if config.resample is None else config.resample
    gain, offset = _arithmetic(config, kind)
    canvas_px, edge_px = _geometry(config, kind)
    return ImageProcessor(canvas_px, edge_px, _RESAMPLING[resample], gain, offset)


def _refuse_other_steps(content: dict[str, Any]) -> None:
    """Steps that these image processors do not have, or not in every release."""
    known = set(ProcessorConfig.model_fields) | {"do_convert_rgb"}
    others = sorted(key for key, value in content.items() if key.startswith("do_") and value and key not in known)
    if others:
        raise ModelUnavailable(f"{PROCESSOR}: {others[0][:60]} is a step that is not served")


def _geometry(config: ProcessorConfig, kind: _Kind) -> tuple[tuple[int, int], int | None]:
    """The canvas, and the size of the shortest edge before the crop."""
    size = kind.size if config.size is None else config.size
    crops = kind.crops if config.do_center_crop is None else config.do_center_crop
    edge = size if kind.is_number_an_edge else None
    if isinstance(size, dict):
        edge = size.get("shortest_edge") if set(size) == {"shortest_edge"} else None
    if edge is None:
        if crops:
            raise ModelUnavailable(
                f"{PROCESSOR}: do_center_crop after a resize to height and width is not served; only after that of "
                "the shortest edge"
            )
        return _sides(size, "size"), None
    if not crops:
        raise ModelUnavailable(
            f"{PROCESSOR}: the size of the shortest edge alone gives each image a canvas of its own; it needs "
            "do_center_crop and crop_size"
        )
    canvas = _sides(_SQUARE if config.crop_size is None else config.crop_size, "crop_size")
    if type(edge) is not int or not max(canvas) <= edge <= 8192:
        raise ModelUnavailable(
            f"{PROCESSOR}: shortest_edge must be {max(canvas)}, the larger side of crop_size, to 8192; "
            f"got {str(edge)[:40]}"
        )
    return canvas, edge


def _sides(value: Any, name: str) -> tuple[int, int]:
    """Height and width of a size as one number, two numbers or a mapping."""
    if isinstance(value, dict) and set(value) == {"height", "width"}:
        value = [value["height"], value["width"]]
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= 8192 for side in sides):
        raise ModelUnavailable(
            f"{PROCESSOR}: {name} must be height and width, 1 to 8192 pixels, got {str(value)[:80]}"
        )
    return sides[0], sides[1]


Three = tuple[float, float, float]


def _arithmetic(config: ProcessorConfig, kind: _Kind) -> tuple[Three, Three]:
    """gain and offset of `(pixel * rescale_factor - mean) / std`, without the steps that are off."""
    factor = 1.0 if config.do_rescale is False else config.rescale_factor
    if config.do_normalize is False:
        return (factor,) * 3, (0.0,) * 3
    mean = _three(kind.mean if config.image_mean is None else config.image_mean)
    std = _three(kind.std if config.image_std is None else config.image_std)
    gain = (factor / std[0], factor / std[1], factor / std[2])
    return gain, (-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2])


def _three(values: float | list[float]) -> Three:
    return (values[0], values[1], values[2]) if isinstance(values, list) else (values, values, values)
