"""Makes the checkpoints for grey images in this folder, and what the ORIGINAL code of ultralytics answers with them.

    python make_ultralytics_grey.py PACKAGES [LAYOUT ...]

PACKAGES and the environment are those of `make_ultralytics_heads.py`, with Pillow. Networks are tiny, weights random
but seeded. For each layout: the checkpoint as the trainer leaves it with `channels: 1` in the data set, and what is
answered for four images on three canvases. Two are colours in memory, one is a photograph, one a grey file: its own
loaders make them grey, and its predictor does the rest.
"""

import importlib
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
import yaml
from make_ultralytics_heads import LIMITS, RELEASE, SHAPES_PX, detection, spread_boxes
from make_ultralytics_layouts import content, make_each
from make_yolov5_layouts import CLASSES, HERE, balance, image, randomize

LAYOUTS = {"yolo11-grey": "11/yolo11.yaml", "yolo26-grey": "26/yolo26.yaml"}
CANVASES_PX = [(128, 192), (160, 96), (224, 224)]
PHOTOGRAPH = HERE / "03_00_51_14.jpg"


def make(layout: str) -> None:
    """One layout, in this process."""
    torch.manual_seed(5)
    tasks = importlib.import_module("ultralytics.nn.tasks")
    path = Path(tasks.__file__).parents[1] / "cfg" / "models" / LAYOUTS[layout]
    small = yaml.safe_load(path.read_text()) | {"scales": {"n": [0.33, 0.03125, 1024]}, "scale": "n"}
    with torch.no_grad():
        model = tasks.DetectionModel(small | {"nc": len(CLASSES)}, ch=1, nc=len(CLASSES), verbose=False)
    randomize(model, seed=5)
    settings = {"imgsz": 192, "task": "detect"}
    model.names, model.args = dict(enumerate(CLASSES)), settings
    balance(model, torch.from_numpy(image()[None, None, ..., 0].copy()).float() / 255)
    spread_boxes(model.model[-1])
    model = model.eval().half().float()
    answers = list(answers_of(model))
    golden = {"release": RELEASE, **LIMITS, "answers": answers}
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")
    torch.save(content(layout, RELEASE, model.half(), settings), HERE / f"{layout}.pt")


def answers_of(model: torch.nn.Module):
    """What the predictor makes of each image on each canvas, with each head."""
    head = model.model[-1]
    has_two = hasattr(head, "one2one_cv2")
    for name in ("one-to-many", "one-to-one") if has_two else (None,):
        if has_two:
            head.end2end = name == "one-to-one"
        for canvas_px in CANVASES_PX:
            for number, pixels in enumerate(grey_images()):
                found = predicted(model, pixels, canvas_px)
                yield {"head": name, "canvas_px": list(canvas_px), "image": number, "detections": found}
    if has_two:
        del head._end2end


def grey_images() -> list[np.ndarray]:
    """The four images (height, width, 1), as the loaders give them to the predictor."""
    loaders = importlib.import_module("ultralytics.data.loaders")
    noise = [np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8) for number in (0, 1)]
    colours = [pixels[..., ::-1] for pixels in noise] + [cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_COLOR)]
    [_, in_memory, _] = next(
        iter(loaders.LoadPilAndNumpy([np.ascontiguousarray(one) for one in colours], channels=1))
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "grey.png"
        cv2.imwrite(str(file), np.random.default_rng(2).integers(0, 256, (100, 100), np.uint8))
        [_, [from_file], _] = next(iter(loaders.LoadImagesAndVideos(str(file), channels=1)))
    return [*in_memory, from_file]


def predicted(model: torch.nn.Module, pixels: np.ndarray, canvas_px: tuple[int, int]) -> list[dict]:
    """The answer for one image: letterbox and postprocessing are the original's."""
    package = importlib.import_module("ultralytics.models.yolo.detect")
    overrides = {"save_dir": "/tmp/unused", "verbose": False, "task": "detect", **LIMITS}
    predictor = package.DetectionPredictor(overrides=overrides)
    head = {"names": model.names, "end2end": model.end2end, "stride": 32, "format": "torch", "fp16": False}
    predictor.model, predictor.device = SimpleNamespace(**head), torch.device("cpu")
    predictor.imgsz, predictor.batch = list(canvas_px), [["image"]]
    with torch.no_grad():
        x = predictor.preprocess([pixels])
        [result] = predictor.postprocess(model(x), x, [pixels])
    return [detection(result[index]) for index in range(len(result))]


if __name__ == "__main__":
    make_each(__file__, make, dict.fromkeys(LAYOUTS, RELEASE))
