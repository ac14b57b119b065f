"""Writers of tiny networks in the three generic formats, whose right answers are plain to see.

The detector looks at a canvas of 64 x 64 pixels in cells of 8 and finds red and blue ones; the classifier says how
red, green and blue a picture of 32 x 32 is. Each `write_...` makes the file and returns the `args` of a model of it.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANVAS_PX = 64
CELL_PX = 8
CELLS = CANVAS_PX // CELL_PX
DETECTOR_LABELS = ("red", "blue")
CLASSIFIER_PX = 32
CLASSIFIER_LABELS = ("red", "green", "blue")
SHARPNESS = 4.0
"""What a classifier multiplies the mean colours by, 0 to 1, to get logits."""

# Colours (rows) to classes: only what is red and neither green nor blue is red.
COLOUR_TO_CLASS = np.array([[1, -0.5], [-0.5, -0.5], [-0.5, 1]], np.float32)

RED_CELL = (1, 2)
BLUE_CELL = (5, 6)


def drawing(scale: int = 1, pad_px: tuple[int, int] = (0, 0)) -> NDArray[np.uint8]:
    """A black picture with a red and a blue cell; `scale` times as large, with a black border right and below."""
    pixels = np.zeros((CANVAS_PX * scale + pad_px[0], CANVAS_PX * scale + pad_px[1], 3), np.uint8)
    side = CELL_PX * scale
    for (row, column), channel in ((RED_CELL, 0), (BLUE_CELL, 2)):
        pixels[row * side : (row + 1) * side, column * side : (column + 1) * side, channel] = 255
    return pixels


def cell_box(cell: tuple[int, int], scale: int = 1) -> list[float]:
    """x1, y1, x2, y2 of a cell in pixels of `drawing`."""
    row, column = cell
    return [float(edge * CELL_PX * scale) for edge in (column, row, column + 1, row + 1)]


def cell_boxes() -> NDArray[np.float32]:
    """All cells of the canvas, float32 (64, 4), x1 y1 x2 y2."""
    cells = [(row, column) for row in range(CELLS) for column in range(CELLS)]
    return np.array([cell_box(cell) for cell in cells], np.float32)


def write_keras_classifier(path: Path) -> dict[str, Any]:
    """A `.keras` file with softmax inside."""
    with quiet():
        _keras_classifier().save(path)
    return _args("keras", path, CLASSIFIER_LABELS, task="classifier", pixel_range="0..1")


def write_keras_detector(path: Path) -> dict[str, Any]:
    """A `.keras` file with two outputs, boxes and the scores of all classes, without NMS."""
    model = _keras_detector()
    with quiet():
        model.save(path)
    boxes, scores = model.output_names
    return _args("keras", path, DETECTOR_LABELS, task="detector", pixel_range="0..1", boxes=boxes, scores=scores)


def write_saved_model_classifier(folder: Path) -> dict[str, Any]:
    """A SavedModel as `keras.Model.export` makes it."""
    with quiet():
        _keras_classifier().export(folder, verbose=False)
    return _args("saved-model", folder, CLASSIFIER_LABELS, task="classifier", pixel_range="0..1")


def write_saved_model_detector(folder: Path) -> dict[str, Any]:
    """A SavedModel with the inputs and outputs of TensorFlow's object detection API: one uint8 image of any size,
    boxes y1 x1 y2 x2 in parts of it, classes from 1, NMS inside."""
    import tensorflow as tf

    network = _keras_detector()

    class Detector(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8, name="input_tensor")])  # type: ignore[untyped-decorator]
        def __call__(self, image: Any) -> dict[str, Any]:
            values = tf.image.resize(tf.cast(image, tf.float32) / 255, (CANVAS_PX, CANVAS_PX))
            boxes, scores = self.network(values, training=False)
            corners = tf.gather(boxes / CANVAS_PX, [1, 0, 3, 2], axis=2)
            kept = tf.image.combined_non_max_suppression(corners[:, :, None], scores, 10, 10, 0.5, 0.05)
            return {
                "detection_boxes": kept.nmsed_boxes,
                "detection_scores": kept.nmsed_scores,
                "detection_classes": kept.nmsed_classes + 1,
                "num_detections": tf.cast(kept.valid_detections, tf.float32),
            }

    with quiet():
        tf.saved_model.save(Detector(), str(folder))
    parameters = {
        "task": "detector",
        "resize": "stretch",
        "boxes": "detection_boxes",
        "scores": "detection_scores",
        "classes": "detection_classes",
        "box_format": "yxyx",
        "box_unit": "normalised",
        "first_class_id": 1,
        "has_nms": True,
    }
    return _args("saved-model", folder, DETECTOR_LABELS, **parameters) | {"canvas_px": (CANVAS_PX, CANVAS_PX)}


def write_onnx_classifier(path: Path) -> dict[str, Any]:
    """An ONNX file that gives logits, with its class names in the metadata."""
    from onnx import TensorProto, helper

    colours = np.eye(3, dtype=np.float32) * SHARPNESS
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colours"]),
        helper.make_node("MatMul", ["colours", "kernel"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, CLASSIFIER_PX, CLASSIFIER_PX])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    save_onnx(path, nodes, [images], [logits], {"kernel": colours}, CLASSIFIER_LABELS)
    args = _args("onnx", path, CLASSIFIER_LABELS, task="classifier", pixel_range="0..1", activation="softmax")
    return {key: value for key, value in args.items() if key != "labels"}


def write_onnx_detector(path: Path, dtype: type[np.generic] = np.float32, batch: int | None = None) -> dict[str, Any]:
    """An ONNX file shaped like an export of ultralytics without NMS: (n, 4 + classes, cells), centres and sizes.

    dtype: float32 or float16, of the input and the output.  batch: the only size it takes, None for any.
    """
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes, constants = _onnx_cells(dtype)
    corners = cell_boxes()
    centres = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1).T[None]
    constants |= {"centres": centres.astype(dtype), "nothing": np.zeros((1,), dtype)}
    nodes += [
        # The boxes do not depend on the image, but need its batch axis.
        helper.make_node("ReduceMax", ["scores"], ["any"], keepdims=1, axes=[1, 2]),
        helper.make_node("Mul", ["any", "nothing"], ["zero"]),
        helper.make_node("Add", ["centres", "zero"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    side = batch or "n"
    images = helper.make_tensor_value_info("images", kind, [side, 3, CANVAS_PX, CANVAS_PX])
    output = helper.make_tensor_value_info("output0", kind, [side, 4 + len(DETECTOR_LABELS), CELLS**2])
    save_onnx(path, nodes, [images], [output], constants, DETECTOR_LABELS)
    args = _args("onnx", path, DETECTOR_LABELS, task="detector", pixel_range="0..1", outputs="raw-head")
    return {key: value for key, value in args.items() if key != "labels"}


def write_onnx_detector_with_nms(path: Path) -> dict[str, Any]:
    """An ONNX file shaped like an export of ultralytics with NMS inside: one image, (1, 300, 6), empty rows zero."""
    from onnx import TensorProto, helper

    nodes, constants = _onnx_cells(np.float32)
    constants |= {
        "corners": cell_boxes()[None],
        "most": np.array([300]),
        "iou": np.array([0.5], np.float32),
        "least": np.array([0.05], np.float32),
        "class_column": np.array(1),
        "box_column": np.array(2),
        "columns": np.array([1]),
        "start": np.array([0]),
        "end": np.array([300]),
        "axis": np.array([0]),
        "room": np.array([0, 0, 300, 0]),
    }
    nodes += [
        helper.make_node("NonMaxSuppression", ["corners", "scores", "most", "iou", "least"], ["chosen"]),
        helper.make_node("Gather", ["chosen", "box_column"], ["rows"], axis=1),
        helper.make_node("Gather", ["chosen", "class_column"], ["classes"], axis=1),
        helper.make_node("Squeeze", ["corners", "axis"], ["flat_corners"]),
        helper.make_node("Gather", ["flat_corners", "rows"], ["kept_boxes"], axis=0),
        helper.make_node("GatherND", ["scores", "chosen"], ["kept_scores"]),
        helper.make_node("Unsqueeze", ["kept_scores", "columns"], ["score_column"]),
        helper.make_node("Cast", ["classes"], ["class_numbers"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["class_numbers", "columns"], ["number_column"]),
        helper.make_node("Concat", ["kept_boxes", "score_column", "number_column"], ["found"], axis=1),
        helper.make_node("Pad", ["found", "room"], ["padded"]),
        helper.make_node("Slice", ["padded", "start", "end", "axis"], ["bounded"]),
        helper.make_node("Unsqueeze", ["bounded", "axis"], ["output0"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, CANVAS_PX, CANVAS_PX])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 300, 6])
    save_onnx(path, nodes, [images], [output], constants, DETECTOR_LABELS)
    args = _args("onnx", path, DETECTOR_LABELS, task="detector", pixel_range="0..1", outputs="end-to-end")
    return {key: value for key, value in args.items() if key != "labels"}


DETECTORS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "detector.keras": write_keras_detector,
    "detector-saved-model": write_saved_model_detector,
    "detector.onnx": write_onnx_detector,
    "detector-nms.onnx": write_onnx_detector_with_nms,
}
"""File name -> writer."""

CLASSIFIERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "classifier.keras": write_keras_classifier,
    "classifier-saved-model": write_saved_model_classifier,
    "classifier.onnx": write_onnx_classifier,
}
"""File name -> writer."""


def save_onnx(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: dict[str, NDArray[Any]],
    labels: tuple[str, ...] = (),
    domains: tuple[str, ...] = (),
) -> None:
    """An ONNX file of opset 17; `labels` are written into the metadata as ultralytics does."""
    import onnx
    from onnx import helper, numpy_helper

    weights = [numpy_helper.from_array(np.asarray(values, order="C"), name) for name, values in constants.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializer=weights)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if labels:
        helper.set_model_props(model, {"names": repr(dict(enumerate(labels))), "task": "detect"})
    onnx.save(model, path)


def _args(family: str, path: Path, labels: tuple[str, ...], **parameters: Any) -> dict[str, Any]:
    return {"family": family, "weights": str(path), "labels": labels, "parameters": parameters}


@contextmanager
def quiet() -> Iterator[None]:
    """Keras and TensorFlow, when they save, use what numpy is about to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _keras_classifier() -> Any:
    import keras

    image = keras.Input((CLASSIFIER_PX, CLASSIFIER_PX, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    dense = keras.layers.Dense(len(CLASSIFIER_LABELS), activation="softmax", use_bias=False)
    model = keras.Model(image, dense(pooled))
    dense.set_weights([np.eye(3, dtype=np.float32) * SHARPNESS])
    return model


def _keras_detector() -> Any:
    """0 to 1 RGB to boxes (n, 64, 4) in pixels and scores (n, 64, 2)."""
    import keras
    from keras import layers

    image = keras.Input((CANVAS_PX, CANVAS_PX, 3))
    cells = layers.AveragePooling2D(CELL_PX)(image)
    colours = layers.Conv2D(len(DETECTOR_LABELS), 1, activation="relu", use_bias=False)
    scores = layers.Reshape((CELLS**2, len(DETECTOR_LABELS)), name="scores")(colours(cells))
    places = layers.Dense(CELLS**2 * 4)
    boxes = layers.Reshape((CELLS**2, 4), name="boxes")(places(layers.GlobalAveragePooling2D()(image)))
    model = keras.Model(image, [boxes, scores])
    colours.set_weights([COLOUR_TO_CLASS[None, None]])
    places.set_weights([np.zeros((3, CELLS**2 * 4), np.float32), cell_boxes().reshape(-1)])
    return model


def _onnx_cells(dtype: type[np.generic]) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Nodes from `images` to `scores`, (n, classes, cells)."""
    from onnx import helper

    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2),
        helper.make_node("Conv", ["cells", "kernel"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("Reshape", ["positive", "flat"], ["scores"]),
    ]
    kernel = COLOUR_TO_CLASS.T[:, :, None, None].astype(dtype)
    return nodes, {"kernel": kernel, "flat": np.array([0, len(DETECTOR_LABELS), CELLS**2])}
