"""The known wire formats of legacy queues, by name. Data only; `profiles.QueueProfile` says what the fields mean.

The family goes back to a tutorial of 2018 (A); each server that copied it changed something:

| preset | who speaks it |
|---|---|
| `cvisionai` | the cvisionai server since 2022: float32 BGR with height and width, or anything that says what it is |
| `cvisionai-2022` | its form of early 2022: as above, every score in a list of its own |
| `cvisionai-2020` | its first form: always 720 x 1280, no size in the job; scores and boxes (x, y, w, h) as text |
| `pyimagesearch` | the tutorial: 224 x 224, mean subtracted as Keras does for ResNet50; labels with probabilities |
| `shanesoh` | the same over FastAPI |
| `shape-in-job` | grey pixels, their height and width in `shape` |
| `h-w-keys` | float32 RGB, size in `h` and `w`; boxes x, y, w, h with score and class number |
| `uint8` | uint8 RGB in its true size |
| `encoded-file` | a JPEG or PNG file |
| `msgpack` | a msgpack map with a JPEG or PNG file, as bytes, in `frame`; the answer is msgpack too |
| `model-in-job` | 299 x 299, scaled to -1..1 as Keras does for Inception V3; the job names its model |
| `async` | an image file; the answer is asked for later and stays for a week |
| `pipeline` | uint8 RGB; the answer stands under `<id>-object` |
| `segment-anything` | uint8 RGB, or an image file under the key that `img_key` names; boxes, scores and outlines |
| `mixoe` | a classifier: one row with the scores of all classes |
| `rock-mask` | outlines, their points from 0 to 1 |
| `coral` | boxes and confidences in two lists |
| `dextr` | one outline, or none |
"""

from types import MappingProxyType
from typing import Any

DEFAULT = "cvisionai"

_WEEK_S = 7 * 24 * 3600

_KERAS_RESNET = {
    "image": "pixels",
    "dtype": "float32",
    "shape_from": "fixed",
    "fixed_shape_px": (224, 224),
    "preprocessing": "caffe",
    "answer": "label-probability",
}

PRESETS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        DEFAULT: {},
        "cvisionai-2022": {"dtype": "float32", "answer": "detections-nested-scores"},
        "cvisionai-2020": {
            "image": "pixels",
            "dtype": "float32",
            "shape_from": "fixed",
            "fixed_shape_px": (720, 1280),
            "answer": "detections-as-text",
        },
        "pyimagesearch": _KERAS_RESNET,
        "shanesoh": _KERAS_RESNET,
        "shape-in-job": {"image": "pixels", "shape_from": "shape", "channels": 1},
        "h-w-keys": {
            "image": "pixels",
            "dtype": "float32",
            "channel_order": "rgb",
            "shape_from": "h-w",
            "answer": "xywh-score-class",
        },
        "uint8": {"image": "pixels", "dtype": "uint8", "shape_from": "height-width"},
        "encoded-file": {"image": "file"},
        "msgpack": {"encoding": "msgpack", "image_field": "frame", "image": "file"},
        "model-in-job": {
            "image": "pixels",
            "dtype": "float32",
            "shape_from": "fixed",
            "fixed_shape_px": (299, 299),
            "preprocessing": "tf",
            "model_field": "model_name",
            "answer": "label-probability",
        },
        "async": {"image": "file", "result_ttl_s": _WEEK_S},
        "pipeline": {
            "image": "pixels",
            "dtype": "uint8",
            "shape_from": "height-width",
            "result_key": "{id}-object",
            "answer": "label-confidence-box",
        },
        "segment-anything": {"dtype": "uint8", "image_key_field": "img_key", "answer": "segments"},
        "mixoe": {"dtype": "float32", "shape_from": "height-width", "answer": "class-scores"},
        "rock-mask": {"shape_from": "height-width", "answer": "outlines"},
        "coral": {"dtype": "float32", "shape_from": "height-width", "answer": "boxes-and-confidences"},
        "dextr": {"dtype": "float32", "shape_from": "height-width", "answer": "one-outline"},
    }
)
"""Preset -> the fields in which it differs from the default."""
