"""A detector as its network alone, for clients that prepare the pixels and read the rows themselves. Pure.

`yolo predict model=http://HOST/NAME-raw` of ultralytics, and SAHI over it, send pixels on a canvas of their own and
read rows of `cx, cy, width, height` with a score for each class, one row a column. The core has no such rows in
common for all families, so these are made of its detections: each one is a row whose score stands in the column of
its class. Overlaps are removed already, by the model's own threshold; detections are asked for from a low score on,
so that the client's own threshold decides. Ultralytics then finds what the model's other faces answer, as long as its
`conf` is that of the model's knob, its `iou` not below the knob's, and its `max_det` not above 1000.

Source of the layout: ultralytics 8.4, `utils/triton.py`, `utils/nms.py` and `nn/backends/base.py`.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from deployments.catalogue import ModelRecord
from deployments.errors import InvalidRequest, ModelUnavailable
from deployments.prediction import Detections, Prediction
from deployments.request import MAX_DETECTIONS_LIMIT, Image, Options
from serve_app.faces.open_inference.images import check_count, the_input
from serve_app.faces.open_inference.tensors import InputTensor, OutputTensor

INPUT = "images"
OUTPUT = "output0"
DATATYPE = "FP32"
BOX_ROWS = 4

LOWEST_SCORE = 0.001
"""Where ultralytics itself begins, for `yolo val`."""

STRIDE_PX = 32
USUAL_CANVAS_PX = (640, 640)
_COLUMNS = 8
"""There are multiples of so many, the last ones empty: ultralytics takes six for a network of another kind."""

_TOLERANCE = 1e-3
_WORK_BYTES = 6
"""For a sample of an image while it is rounded: its copy in FP32, and twice in 8 bits."""

EVERYTHING = Options(score_threshold=LOWEST_SCORE, max_detections=MAX_DETECTIONS_LIMIT, tiling="off")
"""What a model is asked for where the client does not say."""


def pixels_in(tensors: Sequence[InputTensor]) -> Iterator[Image]:
    """The images of FP32 (n, 3, height, width), RGB, 0 to 1, whose values are rounded to 8 bits. Raises
    InvalidRequest."""
    tensor = the_input(tensors, [INPUT])
    if tensor.datatype != DATATYPE:
        raise InvalidRequest(f"{tensor.where} must be of {DATATYPE}, got {tensor.datatype}")
    shape = tensor.shape
    if len(shape) != 4 or shape[1] != 3 or not all(shape):
        raise InvalidRequest(f"{tensor.where} must have the shape [n, 3, height, width], got {list(shape)}")
    check_count(shape[0], tensor)
    for index, planes in enumerate(tensor.numbers()):
        low, high = float(planes.min()), float(planes.max())
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
            raise InvalidRequest(f"{tensor.where} must hold 0 to 1; image {index} holds {low:g} to {high:g}")
        scaled = np.clip(planes, 0, 1)
        scaled *= 255
        samples = np.rint(scaled, out=scaled).astype(np.uint8)
        yield Image.from_pixels(samples.transpose(1, 2, 0))


def needed_bytes(tensors: Sequence[InputTensor]) -> int:
    """For the images, and for working on the largest, which may be all there is."""
    values = sum(prod(one.shape) for one in tensors)
    return values + (_WORK_BYTES * values)


def rows_of(predictions: Sequence[Prediction], labels: Sequence[str]) -> OutputTensor:
    """FP32 (n, 4 + classes, rows), in pixels of the canvas that came. Raises ModelUnavailable where the classes are
    not those that are known here."""
    found = [one.result for one in predictions if isinstance(one.result, Detections)]
    most = max(map(len, found), default=0)
    columns = max(1, -(-most // _COLUMNS)) * _COLUMNS
    rows = np.zeros((len(predictions), BOX_ROWS + len(labels), columns), np.float32)
    for place, detections in zip(rows, found, strict=True):
        _fill(place, detections, labels)
    return OutputTensor.numbers(OUTPUT, DATATYPE, rows)


def _fill(rows: NDArray[np.float32], found: Detections, labels: Sequence[str]) -> None:
    count = len(found)
    for class_id, label in zip(found.class_ids.tolist(), found.labels, strict=True):
        if class_id >= len(labels) or labels[class_id] != label:
            # A candidate answered, or the model has just changed.
            raise ModelUnavailable(f"class {class_id} is {label[:64]!r}, which the client was not told; try again")
    first, second = found.boxes[:, :2].T, found.boxes[:, 2:].T
    rows[:2, :count] = (first + second) / 2
    rows[2:BOX_ROWS, :count] = second - first
    rows[BOX_ROWS + found.class_ids, np.arange(count)] = found.scores


def literal_of(record: ModelRecord) -> str:
    """What ultralytics must know of a network, as the Python literal that it reads. Without a canvas in the
    definition, the client may choose one (`imgsz`), as the model's own is only known where it runs."""
    canvas_px = record.definition.canvas_px
    return repr(
        {
            "description": record.definition.description,
            "task": "detect",
            "batch": 1,
            "channels": 3,
            "stride": STRIDE_PX,
            "imgsz": list(canvas_px or USUAL_CANVAS_PX),
            "names": dict(enumerate(record.definition.labels or ())),
            "args": {"dynamic": canvas_px is None},
        }
    )
