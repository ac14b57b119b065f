"""Asks checkpoints of ultralytics/yolov5 in this folder about four frames on three canvases, with the ORIGINAL code.

    python make_yolov5_frames.py CHECKOUT

CHECKOUT and the environment are those of `make_yolov5_heads.py`. The checkpoints are those that the other scripts
have made, loaded as the original loads them. Writes `frames/LAYOUT.json`.
"""

import base64
import importlib
import json
import os
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import torch
from make_yolov5_heads import LIMITS, nms, pixels_of, rounded, tensor_of
from make_yolov5_layouts import HERE, Absent

LAYOUTS = ("yolov5_seg", "yolov5-v7-transformer")
CANVASES_PX = [(128, 192), (160, 96), (224, 224)]
FILES = [HERE / "03_00_51_14.jpg", HERE.parents[3] / "deployments/families/demo/samples/seafloor-1.png"]


def frames() -> list[np.ndarray]:
    """Two pictures of noise, a photograph and a drawing: RGB."""
    return [pixels_of(0), pixels_of(1), *(np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]) for file in FILES)]


def detected(model: torch.nn.Module, pixels: np.ndarray, canvas_px: tuple[int, int]) -> list[dict]:
    """As `detect.py` and `segment/predict.py` go about it; boxes are not rounded."""
    general, masks = (importlib.import_module(name) for name in ("utils.general", "utils.segment.general"))
    letterbox = importlib.import_module("utils.augmentations").letterbox
    canvas = letterbox(pixels, canvas_px, auto=False)[0]
    has_masks = type(model).__name__ == "SegmentationModel"
    with torch.no_grad():
        rows, prototypes = model(tensor_of(canvas))[:2]
    count = prototypes.shape[1] if has_masks else 0
    limits = LIMITS["conf"], LIMITS["iou"]
    [found] = general.non_max_suppression(rows, *limits, max_det=LIMITS["max_det"], nm=count)
    boxes = general.scale_boxes(canvas.shape[:2], found[:, :4].clone(), pixels.shape)
    answered = [
        {"box": rounded(box), "score": float(row[4]), "class_id": int(row[5])}
        for box, row in zip(boxes, found, strict=True)
    ]
    if has_masks:
        drawn = masks.process_mask(prototypes[0], found[:, 6:], found[:, :4], canvas.shape[:2], upsample=True)
        for row, mask in zip(answered, drawn, strict=True):
            packed = np.packbits(mask.numpy() > 0).tobytes()
            row["canvas_mask"] = base64.b64encode(zlib.compress(packed, 9)).decode()
    return answered


def main() -> None:
    """In the checkout: its own modules are those that were pickled."""
    os.chdir(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    sys.meta_path.insert(0, Absent())
    Absent.packages = tuple(name for name in Absent.packages if name not in ("cv2", "tqdm"))
    importlib.import_module("torchvision").ops.nms = nms
    importlib.import_module("models.yolo")
    for layout in LAYOUTS:
        model = torch.load(HERE / f"{layout}.pt", weights_only=False)["model"].float().eval()
        answers = [
            {"canvas_px": list(canvas_px), "image": number, "detections": detected(model, pixels, canvas_px)}
            for canvas_px in CANVASES_PX
            for number, pixels in enumerate(frames())
        ]
        golden = {"tag": "v7.0", **LIMITS, "answers": answers}
        (HERE / "frames" / f"{layout}.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
