"""A detection function for CVAT's command line and its agents (extra `cvat`).

    cvat-cli task auto-annotate 5 --function-module fathom_client.tools.cvat -p model=str:megafishdetector-s

The server comes from FATHOM_URL, unless `url` names it, and the key from FATHOM_API_KEY alone: whoever lists the
processes of a machine sees parameters.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk.masks import encode_mask

from fathom_client.answers import Detection, Prediction
from fathom_client.client import Client
from fathom_client.errors import Problem
from fathom_client.masks import Mask

if TYPE_CHECKING:
    import PIL.Image

Shapes = Literal["best", "rectangle"]

DETECTIONS, CLASSES = "detections", "classes"

OPTIONS = ("score_threshold", "iou_threshold", "max_detections", "tiling", "tiling_overlap")
"""Options of a prediction that a parameter of `cvat-cli`, a number or a text, can hold."""


class Function:
    """What `cvat-cli` asks: `spec` and `detect`. Its labels are those of the model, and their type is open, so that
    the task's own holds. options: of a prediction."""

    def __init__(self, client: Client, model: str, shapes: Shapes, options: dict[str, Any]) -> None:
        self._client = client
        self._model = model
        self._shapes = shapes
        self._options = options
        self._kind = ""
        # A server that is not there is told of at once, and one that is busy is waited for.
        with contextlib.suppress(Problem):
            client.ready()
        names = client.model(model).labels
        if not names:
            raise cvataa.BadFunctionError(
                f"the server does not know the labels of {model} yet: it does once the model was loaded from fetched "
                "weights, or where its block names them (labels, labels_file)"
            )
        self._id_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, number) for name, number in self._id_of.items()]
        )

    def detect(self, context: cvataa.DetectionFunctionContext, image: PIL.Image.Image) -> list[Any]:
        """A shape for each animal; of a classifier a tag, its best class."""
        prediction = self._predict(image, context.conf_threshold)
        if prediction.kind == CLASSES:
            return list(self._tags(prediction, context.conf_threshold))
        if prediction.kind != DETECTIONS:
            raise cvataa.BadFunctionError(f"{self._model} answers with '{prediction.kind}', which is no annotation")
        found = (one for one in prediction.detections if one.label in self._id_of)
        return [self._shape(one, image.size, context.conv_mask_to_poly) for one in found]

    def _predict(self, image: PIL.Image.Image, threshold: float | None) -> Prediction:
        """Only detectors take a threshold, and what a model is shows in its first answer."""
        if threshold is None:
            return self._client.predict(image, self._model, **self._options)
        if not self._kind:
            first = self._client.predict(image, self._model, **self._options)
            self._kind = first.kind
            if first.kind != DETECTIONS:
                return first
        options = self._options if self._kind != DETECTIONS else {**self._options, "score_threshold": threshold}
        return self._client.predict(image, self._model, **options)

    def _tags(self, prediction: Prediction, threshold: float | None) -> Iterator[Any]:
        for best in prediction.classes[:1]:
            if best.label in self._id_of and best.score >= (threshold or 0.0):
                yield cvataa.tag(self._id_of[best.label])

    def _shape(self, found: Detection, size_px: tuple[int, int], wants_polygons: bool) -> Any:
        """size_px: width, height."""
        label = self._id_of[found.label]
        if self._shapes == "best" and found.mask is not None:
            if not wants_polygons:
                return cvataa.mask(label, encode_mask(_enlarged(found.mask, size_px)))
            if found.polygon:
                return cvataa.polygon(label, [number for point in found.polygon for number in point])
        if self._shapes == "best" and found.corners:
            points, rotation = _upright(found.corners)
            return cvataa.rectangle(label, points, rotation=rotation)
        return cvataa.rectangle(label, list(found.box))


def create(model: str, url: str = "", shapes: str = "best", **options: Any) -> Function:
    """What `cvat-cli` calls with its `-p NAME=TYPE:VALUE`. shapes: `rectangle` where boxes are wanted of a model that
    has masks or rotated boxes. options: of a prediction. Raises ValueError, and errors of `fathom_client`."""
    if shapes not in ("best", "rectangle"):
        raise ValueError(f"shapes must be best or rectangle, got {shapes!r}")
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ValueError(f"unknown parameter {unknown[0]!r}; there are model, url, shapes, {', '.join(OPTIONS)}")
    return Function(Client(url or None), model, "rectangle" if shapes == "rectangle" else "best", options)


def _enlarged(mask: Mask, size_px: tuple[int, int]) -> Any:
    """On the pixels of the image, (height, width), each as the cell of the mask's grid that its middle lies in."""
    width, height = size_px
    grid = mask.array()
    rows = (2 * np.arange(height) + 1) * grid.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * grid.shape[1] // (2 * width)
    return grid[np.ix_(rows, columns)]


def _upright(corners: Any) -> tuple[list[float], float]:
    """A rotated box as CVAT has it: upright, and how far it is turned about its middle, in degrees, clockwise."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    half_width, half_height = math.hypot(x1 - x0, y1 - y0) / 2, math.hypot(x2 - x1, y2 - y1) / 2
    x, y = (x0 + x1 + x2 + x3) / 4, (y0 + y1 + y2 + y3) / 4
    rotation = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 360
    return [x - half_width, y - half_height, x + half_width, y + half_height], rotation
