"""The web servers of the legacy family, as far as they write jobs: each from its line in the table of variants.

A producer is given a picture, RGB uint8 (height, width, 3), and makes the job's fields in the order of the original;
`json.dumps` of them is what it pushes, and of the last one `msgpack.packb`. All arrays are in C order and in the byte
order of the hosts of those days.
"""

import base64
import io
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Fields = dict[str, Any]
Producer = Callable[[Picture], Fields]


def text_of(values: NDArray[Any]) -> str:
    """As `base64.b64encode(array).decode("utf-8")` of the originals."""
    return base64.b64encode(np.ascontiguousarray(values)).decode("utf-8")


def new_id() -> str:
    return str(uuid.uuid4())


def png(rgb: Picture) -> bytes:
    """A file without loss, so that a test can tell every pixel."""
    target = io.BytesIO()
    PIL.Image.fromarray(rgb).save(target, "PNG")
    return target.getvalue()


def jpeg(rgb: Picture) -> bytes:
    """A file as cameras write it."""
    target = io.BytesIO()
    PIL.Image.fromarray(rgb).save(target, "JPEG")
    return target.getvalue()


def after_jpeg(rgb: Picture) -> Picture:
    """What a JPEG keeps of a picture."""
    return np.asarray(PIL.Image.open(io.BytesIO(jpeg(rgb))))


def classic(rgb: Picture) -> Fields:
    """A, B: a Keras image array, `preprocess_input` of ResNet50 applied: BGR, the mean of ImageNet subtracted."""
    bgr = rgb.astype(np.float32)[None, :, :, ::-1]
    return {"id": new_id(), "image": text_of(bgr - np.array([103.939, 116.779, 123.68], np.float32))}


def cvisionai_2020(rgb: Picture) -> Fields:
    """C, its first form: float32 BGR of one fixed size, which the job does not say."""
    return {"id": new_id(), "image": text_of(rgb.astype("float32")[None, :, :, ::-1])}


def cvisionai(rgb: Picture) -> Fields:
    """D, and C since early 2022: float32 BGR with its size."""
    return {**cvisionai_2020(rgb), "height": rgb.shape[0], "width": rgb.shape[1]}


def shape_in_job(rgb: Picture) -> Fields:
    """E: grey values, their size in `shape`."""
    return {"id": new_id(), "image": text_of(rgb[:, :, 0]), "shape": [rgb.shape[0], rgb.shape[1]]}


def h_w_keys(rgb: Picture) -> Fields:
    """F: float32 RGB, 0 to 255."""
    return {"id": new_id(), "image": text_of(rgb.astype("float32")[None]), "h": rgb.shape[0], "w": rgb.shape[1]}


def uint8_true_size(rgb: Picture) -> Fields:
    """G: uint8 RGB without a batch axis. K writes the same."""
    return {"id": new_id(), "image": text_of(rgb), "height": rgb.shape[0], "width": rgb.shape[1]}


def encoded_file(rgb: Picture) -> Fields:
    """H: the file as it was uploaded."""
    return {"id": new_id(), "image": base64.b64encode(png(rgb)).decode("utf-8")}


def model_in_job(rgb: Picture) -> Fields:
    """I: scaled to -1..1 as Inception V3 wants it; the job names its model."""
    values = rgb.astype(np.float32)[None] / np.float32(127.5) - np.float32(1)
    return {"id": new_id(), "image": text_of(values), "model_name": "InceptionV3"}


def async_style(rgb: Picture) -> Fields:
    """J: a file and a style."""
    return {**encoded_file(rgb), "style": "mosaic"}


def segment_anything(rgb: Picture) -> Fields:
    """The SAM routes, first form: uint8 RGB with a batch axis, and where to look."""
    size = {"height": rgb.shape[0], "width": rgb.shape[1]}
    return {"id": new_id(), "image": text_of(rgb[None]), **size, "prompts": [{"x": 3, "y": 4}]}


def segment_anything_2(image_key: str) -> Fields:
    """The SAM routes, second form: the file lies under a key of its own."""
    return {"id": new_id(), "img_key": image_key, "prompts": [{"x": 3, "y": 4}]}


def rock_mask_2023(rgb: Picture) -> Fields:
    """The producer for the early rock mask worker: uint8, which takes them for BGR, as it does its float32."""
    return {"id": new_id(), "image": text_of(rgb[None]), "height": rgb.shape[0], "width": rgb.shape[1]}


def dextr(rgb: Picture) -> Fields:
    """DEXTR: as D, with the extreme points of the object."""
    return {**cvisionai(rgb), "metadata": {"points": [[1, 2], [3, 4], [5, 6], [7, 8]]}}


def dextr_older(rgb: Picture) -> Fields:
    """DEXTR before that: the points at the top."""
    return {**cvisionai(rgb), "points": [[1, 2], [3, 4], [5, 6], [7, 8]]}


def msgpack_frame(rgb: Picture) -> Fields:
    """A camera that writes msgpack: the file as bytes, without base64."""
    return {"id": new_id(), "frame": jpeg(rgb), "camera": 2}
