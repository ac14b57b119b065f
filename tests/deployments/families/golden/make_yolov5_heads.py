"""Makes the YOLOv5 checkpoints with masks and of a classifier in this folder, and what the ORIGINAL code of
ultralytics/yolov5 answers with them.

    python make_yolov5_heads.py CHECKOUT

CHECKOUT is one of the tag v7.0. Needs an environment of its own with PyTorch (2.13 was used), NumPy, PyYAML and
OpenCV. Networks are tiny, weights random but seeded. The last steps are those of `segment/predict.py` and
`classify/predict.py`, with the functions that these call; torchvision is not needed, its NMS is written out here.
"""

import base64
import importlib
import json
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import yaml
from make_yolov5_layouts import CLASSES, EVERY, HEIGHT_PX, HERE, WIDTH_PX, Absent, balance, image, randomize

SHAPES_PX = [(90, 150), (150, 100)]
LIMITS = {"conf": 0.25, "iou": 0.45, "max_det": 12}
SIZE_PX = 64
"""Of a classifier's canvas."""


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """torchvision.ops.nms."""
    left, kept = scores.argsort(descending=True), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = torch.maximum(boxes[best, :2], boxes[left, :2]), torch.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low).clamp(0).prod(1)
        areas = [(some[..., 2:] - some[..., :2]).prod(-1) for some in (boxes[best], boxes[left])]
        left = left[shared / (areas[0] + areas[1] - shared) <= iou_threshold]
    return torch.stack(kept)


def pixels_of(number: int) -> np.ndarray:
    """One of the images that go in: uint8 RGB."""
    return np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8)


def tensor_of(pixels: np.ndarray) -> torch.Tensor:
    """uint8 RGB (height, width, 3), of 0 to 1."""
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).float() / 255


def rounded(values: torch.Tensor) -> list:
    """For JSON."""
    return np.round(values.numpy().astype(np.float64), 5).tolist()


def small(config: str) -> Path:
    """A configuration of the tag, made small."""
    settings = yaml.safe_load(Path(config).read_text())
    settings |= {"nc": len(CLASSES), "width_multiple": 0.0625, "depth_multiple": 0.33}
    if settings["head"][-1][2] == "Segment":
        settings["head"][-1][3][2] = 6
    path = Path("tiny.yaml")
    path.write_text(yaml.safe_dump(settings))
    return path


def saved(name: str, model: torch.nn.Module, golden: dict) -> None:
    """The checkpoint and what it answers."""
    content = {"epoch": -1, "best_fitness": None, "model": model.half(), "ema": None, "optimizer": None}
    torch.save(content, HERE / f"{name}.pt")
    (HERE / f"{name}.json").write_text(json.dumps({"tag": "v7.0", **golden}) + "\n")


def make_segmenter(yolo) -> None:
    """A network with masks."""
    torch.manual_seed(1)
    model = yolo.SegmentationModel(str(small("models/segment/yolov5s-seg.yaml")), ch=3)
    randomize(model, seed=1)
    model.names, model.nc = dict(enumerate(CLASSES)), len(CLASSES)
    balance(model, tensor_of(image()))
    model = model.half().float().eval()
    with torch.no_grad():
        rows, prototypes = (found[0] for found in model(tensor_of(image()))[:2])
    golden = {
        **LIMITS,
        "shape": list(rows.shape),
        f"every_{EVERY}th": rounded(rows[::EVERY]),
        "prototypes": rounded(prototypes[:, ::7, ::11]),
        "answers": [{"image": number, "detections": segmented(model, number)} for number in range(len(SHAPES_PX))],
    }
    saved("yolov5_seg", model, golden)


def segmented(model: torch.nn.Module, number: int) -> list[dict]:
    """As `segment/predict.py` goes about it; boxes are not rounded."""
    general, masks = (importlib.import_module(name) for name in ("utils.general", "utils.segment.general"))
    letterbox = importlib.import_module("utils.augmentations").letterbox
    pixels = pixels_of(number)
    canvas = letterbox(pixels, (HEIGHT_PX, WIDTH_PX), auto=False)[0]
    with torch.no_grad():
        rows, prototypes = model(tensor_of(canvas))[:2]
    [found] = general.non_max_suppression(
        rows, LIMITS["conf"], LIMITS["iou"], max_det=LIMITS["max_det"], nm=prototypes.shape[1]
    )
    drawn = masks.process_mask(prototypes[0], found[:, 6:], found[:, :4], canvas.shape[:2], upsample=True)
    boxes = general.scale_boxes(canvas.shape[:2], found[:, :4].clone(), pixels.shape)
    return [
        {
            "box": rounded(box),
            "score": float(row[4]),
            "class_id": int(row[5]),
            "canvas_mask": base64.b64encode(zlib.compress(np.packbits(mask.numpy() > 0).tobytes(), 9)).decode(),
        }
        for box, row, mask in zip(boxes, found, drawn, strict=True)
    ]


def make_classifier(yolo) -> None:
    """A classifier, from the backbone of a detector as the tag's trainer makes it."""
    torch.manual_seed(2)
    detector = yolo.DetectionModel(str(small("models/yolov5s.yaml")), ch=3)
    model = yolo.ClassificationModel(model=detector, nc=len(CLASSES), cutoff=10)
    randomize(model, seed=2)
    model.names = list(CLASSES)
    model = model.half().float().eval()
    augmentations = importlib.import_module("utils.augmentations")
    scores, canvases = [], []
    for number in range(len(SHAPES_PX)):
        # The original reads images as BGR.
        bgr = np.ascontiguousarray(pixels_of(number)[..., ::-1])
        canvas = augmentations.ToTensor()(augmentations.CenterCrop(SIZE_PX)(bgr))
        ranges = (augmentations.IMAGENET_MEAN, augmentations.IMAGENET_STD)
        mean, std = (torch.tensor(values)[:, None, None] for values in ranges)
        with torch.no_grad():
            scores.append(rounded(model(((canvas - mean) / std)[None]).softmax(1)[0]))
        canvases.append(int((canvas * 255).round().sum()))
    saved("yolov5_cls", model, {"size_px": SIZE_PX, "scores": scores, "sums_of_canvas": canvases})


def main() -> None:
    """In the checkout: its own modules must be the ones that are pickled."""
    os.chdir(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    sys.meta_path.insert(0, Absent())
    Absent.packages = tuple(name for name in Absent.packages if name not in ("cv2", "tqdm"))
    importlib.import_module("torchvision").ops.nms = nms
    yolo = importlib.import_module("models.yolo")
    make_segmenter(yolo)
    make_classifier(yolo)


if __name__ == "__main__":
    main()
