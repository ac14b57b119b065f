"""Asks the checkpoints of ultralytics in this folder about four frames on three canvases, with the ORIGINAL code.

    python make_ultralytics_frames.py PACKAGES [LAYOUT ...]

PACKAGES and the environment are those of `make_ultralytics_grey.py`. The checkpoints are those that the other scripts
have made, loaded as the original loads them; of two heads the one-to-one head answers. Writes `frames/LAYOUT.json`.
"""

import importlib
import json
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from make_ultralytics_heads import LIMITS, RELEASE, SHAPES_PX, detection
from make_ultralytics_layouts import make_each
from make_yolov5_layouts import HERE

LAYOUTS = {
    "yolov6-n": "yolo.detect.DetectionPredictor",
    "yolov9-t": "yolo.detect.DetectionPredictor",
    "yolov10-n": "yolo.detect.DetectionPredictor",
    "yolov8-seg": "yolo.segment.SegmentationPredictor",
    "yolo26-seg-unstripped": "yolo.segment.SegmentationPredictor",
    "yolo11-pose": "yolo.pose.PosePredictor",
    "yolo11-obb": "yolo.obb.OBBPredictor",
    "rtdetr-l": "rtdetr.RTDETRPredictor",
}
CANVASES_PX = [(128, 192), (160, 96), (224, 224)]
FILES = [HERE / "03_00_51_14.jpg", HERE.parents[3] / "deployments/families/demo/samples/seafloor-1.png"]


def make(layout: str) -> None:
    """One layout, in this process."""
    importlib.import_module("ultralytics.nn.tasks")
    content = torch.load(HERE / f"{layout}.pt", weights_only=False)
    model = (content["ema"] or content["model"]).float().eval()
    if hasattr(model.model[-1], "one2one_cv2"):
        model.model[-1].end2end = True
    answers = [
        {"canvas_px": list(canvas_px), "image": number, "detections": predicted(layout, model, pixels, canvas_px)}
        for canvas_px in CANVASES_PX
        for number, pixels in enumerate(frames())
    ]
    golden = {"release": RELEASE, **LIMITS, "answers": answers}
    (HERE / "frames" / f"{layout}.json").write_text(json.dumps(golden) + "\n")


def frames() -> list[np.ndarray]:
    """Two pictures of noise, a photograph and a drawing, as OpenCV reads them: BGR."""
    noise = [np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8) for number in (0, 1)]
    return [np.ascontiguousarray(one[..., ::-1]) for one in noise] + [cv2.imread(str(file)) for file in FILES]


def predicted(layout: str, model: torch.nn.Module, pixels: np.ndarray, canvas_px: tuple[int, int]) -> list[dict]:
    """The answer for one frame: all but the network's own steps is the predictor's."""
    module, _, name = LAYOUTS[layout].rpartition(".")
    package = importlib.import_module(f"ultralytics.models.{module}")
    overrides = {"save_dir": "/tmp/unused", "verbose": False, **LIMITS}
    if module == "yolo.detect":
        overrides["task"] = "detect"
    predictor = getattr(package, name)(overrides=overrides)
    head = {"names": model.names, "end2end": getattr(model, "end2end", False), "stride": 32}
    shape = getattr(model.model[-1], "kpt_shape", None)
    predictor.model = SimpleNamespace(**head, format="torch", fp16=False, kpt_shape=shape)
    predictor.device, predictor.imgsz, predictor.batch = torch.device("cpu"), list(canvas_px), [["image"]]
    with torch.no_grad():
        x = predictor.preprocess([pixels])
        [result] = predictor.postprocess(model(x), x, [pixels])
    return [detection(result[index]) for index in range(len(result))]


if __name__ == "__main__":
    make_each(__file__, make, dict.fromkeys(LAYOUTS, RELEASE))
