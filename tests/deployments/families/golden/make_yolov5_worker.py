"""Makes `yolov5_worker.json`: what the ORIGINAL code of ultralytics/yolov5 answers to others than its detect.py.

    python make_yolov5_worker.py CHECKOUT WEIGHTS IMAGES

CHECKOUT is one of the repository at the tag v7.0, WEIGHTS its yolov5n.pt, IMAGES the folder of the
photographs. Needs an environment of its own with PyTorch (2.13 was used), NumPy, PyYAML and OpenCV.

`worker`: as the old queue worker called it, with a float32 image in BGR, the channels left as they are, a square
letterbox, NMS over all classes.  `val`: as val.py does, each box with all its classes.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import packaging.version  # noqa: F401 - the repository takes it for imported
import torch
from make_yolov5_heads import nms
from make_yolov5_layouts import HERE, Absent

WORKER = {"conf": 0.1, "iou": 0.45, "max_det": 1000, "agnostic": True}
VAL = {"conf": 0.001, "iou": 0.6, "max_det": 300, "multi_label": True}
CASES = [
    ("worker", "bus.jpg", 1280, WORKER),
    ("worker", "112512--1c22e634-2378-4b66-86e4-e00d3ca3ad5b.jpg", None, WORKER),
    ("worker", "D0232_03HD_00-00-35.png", None, WORKER),
    ("val", "bus.jpg", 640, VAL),
    ("val", "D0232_03HD_00-00-35.png", 640, VAL),
]


def answered(model: torch.nn.Module, kind: str, path: Path, size: int | None, limits: dict) -> dict:
    """The detections of one image, best first; boxes are not rounded."""
    general = importlib.import_module("utils.general")
    letterbox = importlib.import_module("utils.augmentations").letterbox
    pixels = cv2.imread(str(path))
    size = size or (1280 if pixels.shape[0] > 960 else 640)
    pixels = pixels.astype(np.float32) if kind == "worker" else np.ascontiguousarray(pixels[..., ::-1])
    canvas = letterbox(pixels, size, auto=False)[0]
    tensor = torch.from_numpy(canvas.transpose(2, 0, 1)[None].copy()).float() / 255
    with torch.no_grad():
        rows = model(tensor)[0]
    conf, iou, *_ = limits.values()
    options = {key: value for key, value in limits.items() if key not in ("conf", "iou")}
    [found] = general.non_max_suppression(rows, conf, iou, **options)
    boxes = general.scale_boxes(canvas.shape[:2], found[:, :4].clone(), pixels.shape)
    detections = [
        {"box": np.round(box.numpy().astype(np.float64), 3).tolist(), "score": float(row[4]), "class_id": int(row[5])}
        for box, row in zip(boxes, found, strict=True)
    ]
    return {"kind": kind, "image": path.name, "size_px": size, **limits, "detections": detections}


def main() -> None:
    """In the checkout, whose modules the weights name."""
    weights, images = (Path(name).resolve() for name in sys.argv[2:])
    os.chdir(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    sys.meta_path.insert(0, Absent())
    Absent.packages = tuple(name for name in Absent.packages if name not in ("cv2", "tqdm"))
    importlib.import_module("torchvision").ops.nms = nms
    importlib.import_module("models.yolo")
    model = torch.load(weights, weights_only=False)["model"].float().eval()
    golden = [answered(model, kind, images / name, size, limits) for kind, name, size, limits in CASES]
    (HERE / "yolov5_worker.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
