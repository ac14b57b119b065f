"""What a file is that is not what a family expects, and what its owner can do about it. Words only: nothing is read
here but the first bytes, a class name or the names of tensors.
"""

import sys
from collections.abc import Iterable

HEAD_BYTES = 64
"""How much of a file `kind_by_head` wants to see."""

_BY_START = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS and not the file: `git lfs pull` in its folder fetches that",
    ),
    (b"<!doctype html", "a web page: download by the link of the file, not of its page"),
    (b"<html", "a web page: download by the link of the file, not of its page"),
    (b"pk\x03\x04", "a zip archive, as PyTorch checkpoints (`.pt`, `.pth`) and `.keras` files are"),
    (b"\x89hdf\r\n", "an HDF5 file, as Keras 2 and keras-retinanet write"),
    (b"\x80\x02\x8a\nl\xfc\x9cf\xf9 j\xa8p\x19.", "a PyTorch checkpoint from before version 1.6"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"rar!", "a RAR archive: unpack it first"),
)
"""First bytes in small letters -> the file's kind."""

_FAMILIES = (
    ("ultralytics.nn.tasks.ClassificationModel", "ultralytics-classify"),
    ("ultralytics.nn.tasks.RTDETRDetectionModel", "ultralytics-rtdetr"),
    ("ultralytics.nn.tasks.", "ultralytics"),
    ("models.yolo.ClassificationModel", "yolov5-classify"),
    ("models.yolo.", "yolov5"),
)
"""Start of a network's class -> the family whose files hold such. The package `yolov5` has the same classes."""

_UNREAD = {
    "ultralytics.nn.tasks.WorldModel": "a YOLO-World",
    "ultralytics.nn.tasks.YOLOEModel": "a YOLOE",
    "ultralytics.nn.tasks.YOLOESegModel": "a YOLOE",
    "ultralytics.nn.tasks.SemanticSegmentationModel": "a network that labels each pixel",
    "ultralytics.nn.tasks.DepthModel": "a network that measures depth",
}
"""Networks that no family reads."""

_BY_TENSORS = (("backbone.bottom_up.", "detectron2-retinanet"), ("transformer.decoder.ref_point_head.", "rf-detr"))
"""Part of a tensor's name -> the family whose files hold such."""

_LIBRARIES = frozenset({"numpy", "torch", *sys.stdlib_module_names})


def kind_by_head(head: bytes) -> str:
    """What a file is, by its first bytes: 'a ...'; '' where they say nothing."""
    start = head[:HEAD_BYTES].lstrip().lower()
    found = next((kind for known, kind in _BY_START if start.startswith(known)), "")
    if not found and head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32:
        return (
            "a safetensors file, which holds named tensors and no network; family huggingface serves a folder of one"
        )
    return found


def found_instead(head: bytes, otherwise: str) -> str:
    """For a refusal: what the file is; `otherwise` where its first bytes say nothing."""
    kind = kind_by_head(head)
    return f"it is {kind}" if kind else otherwise


def family_of_network(kind: str) -> str:
    """A hint for a network of this class in a file of another family; '' where none is known."""
    if kind in _UNREAD:
        return (
            f"; this is {_UNREAD[kind]}, which no family reads; what it detects may be served from an ONNX export, "
            "by family onnx"
        )
    plain = kind.removeprefix("yolov5.")
    family = next((family for start, family in _FAMILIES if plain.startswith(start)), None)
    return f"; family {family} is for such files" if family else ""


def family_of_tensors(names: Iterable[str]) -> str:
    """A hint for a file that holds tensors with these names, and no network."""
    names = list(names)
    for part, family in _BY_TENSORS:
        if any(part in name for name in names):
            return f"; family {family} is for such files"
    return (
        "; these are weights without their network, whose layers cannot be known from them: save the whole model, as "
        "its trainer does, or export it to ONNX for family onnx"
    )


def not_of_a_model(name: str) -> str:
    """Why a pickle is refused that names something of Python itself."""
    return f"the pickle names {name}, which is not part of a model; nothing in the file was run"


def about_foreign_class(name: str) -> str:
    """Why a pickle that names this class or function is refused."""
    package = name.partition(".")[0]
    if package in _LIBRARIES or package.startswith("__builtin"):
        return not_of_a_model(name)
    owner = "of somebody's own program" if package == "__main__" else f"of {package}"
    return (
        f"holds {name}, a class {owner}, which is not read, as that would mean to run its code. Of whole networks "
        "those of YOLOv5 and ultralytics are read; others can be exported to ONNX, for family onnx"
    )
