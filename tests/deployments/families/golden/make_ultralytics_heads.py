"""Makes the checkpoints with masks, keypoints and rotated boxes in this folder, and what the ORIGINAL code of
ultralytics answers with them.

    python make_ultralytics_heads.py PACKAGES [LAYOUT ...]

PACKAGES and the environment are those of `make_ultralytics_layouts.py`; it also needs OpenCV, which the original
letterboxes with. Networks are tiny, weights random but seeded. For each layout: the checkpoint as the trainer leaves
it, stripped or not, or as it is after `fuse()`; some columns of the raw head for a seeded image; and what the
predictor of the task makes of two images of other shapes than the canvas, with each of the heads that the file has.
"""

import base64
import importlib
import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from make_ultralytics_layouts import EVERY, content, make_each
from make_yolov5_layouts import CLASSES, HEIGHT_PX, HERE, WIDTH_PX, balance, image, randomize

RELEASE = "8.4.190"
SHAPES_PX = [(90, 150), (150, 100)]
LIMITS = {"conf": 0.25, "iou": 0.6, "max_det": 12}
TASKS = {
    "seg": ("segment", "SegmentationModel", "SegmentationPredictor"),
    "pose": ("pose", "PoseModel", "PosePredictor"),
    "obb": ("obb", "OBBModel", "OBBPredictor"),
}
LAYOUTS: dict[str, tuple[str, str, dict]] = {
    # Configuration, task, and what else is set in it.
    "yolov8-seg": ("v8/yolov8-seg.yaml", "seg", {}),
    "yolo26-seg-unstripped": ("26/yolo26-seg.yaml", "seg", {}),
    "yolo26-seg-fused": ("26/yolo26-seg.yaml", "seg", {}),
    "yolo11-pose": ("11/yolo11-pose.yaml", "pose", {"kpt_shape": [5, 3]}),
    "yolov8-pose-xy": ("v8/yolov8-pose.yaml", "pose", {"kpt_shape": [3, 2]}),
    "yolo26-pose": ("26/yolo26-pose.yaml", "pose", {"kpt_shape": [5, 3]}),
    "yolo26-pose-fused": ("26/yolo26-pose.yaml", "pose", {"kpt_shape": [5, 3]}),
    "yolo11-obb": ("11/yolo11-obb.yaml", "obb", {}),
    "yolo26-obb": ("26/yolo26-obb.yaml", "obb", {}),
}


def make(layout: str) -> None:
    """One layout, in this process."""
    torch.manual_seed(3)
    model, settings = network(layout), {"imgsz": 192, "task": TASKS[LAYOUTS[layout][1]][0]}
    randomize(model, seed=3)
    model.names, model.args = dict(enumerate(CLASSES)), settings
    x = tensor_of(image())
    balance(model, x)
    spread_boxes(model.model[-1])
    model = model.eval()
    if layout.endswith("-fused"):
        model.model[-1].end2end = True
        model = model.fuse(verbose=False)
    model = model.half().float()
    golden = {"release": RELEASE, **LIMITS, **raw(model, x), "answers": list(answers(layout, model))}
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")
    torch.save(content(layout, RELEASE, model.half(), settings), HERE / f"{layout}.pt")


def network(layout: str) -> torch.nn.Module:
    """The release's own network, made small."""
    config, task, changes = LAYOUTS[layout]
    tasks = importlib.import_module("ultralytics.nn.tasks")
    path = Path(tasks.__file__).parents[1] / "cfg" / "models" / config
    settings = yaml.safe_load(path.read_text()) | {"scales": {"n": [0.33, 0.03125, 1024]}, "scale": "n"} | changes
    if task == "seg":
        settings["head"][-1][3] = ["nc", 6, 256]
    with torch.no_grad():
        return getattr(tasks, TASKS[task][1])(settings | {"nc": len(CLASSES)}, ch=3, nc=len(CLASSES), verbose=False)


def spread_boxes(head: torch.nn.Module) -> None:
    """Where distances are plain numbers, make them those of boxes, as a training does: above zero."""
    for name in ("cv2", "one2one_cv2") if head.reg_max == 1 else ():
        for branch in getattr(head, name):
            branch[-1].weight.data *= 0.5
            branch[-1].bias.data += 4.0


def tensor_of(pixels: np.ndarray) -> torch.Tensor:
    """uint8 RGB (height, width, 3) as the network takes it."""
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()).float() / 255


def rounded(values: torch.Tensor | np.ndarray, digits: int = 5) -> list:
    """For JSON."""
    return np.round(np.asarray(values, np.float64), digits).tolist()


def raw(model: torch.nn.Module, x: torch.Tensor) -> dict:
    """Some columns of the raw head, or of two heads the one-to-many one; of a fused network none."""
    if model.end2end:
        return {}
    with torch.no_grad():
        found = model(x)[0]
    golden = {}
    if isinstance(found, tuple):
        found, prototypes = found
        golden["prototypes"] = rounded(prototypes[0, :, ::7, ::11])
    return golden | {"shape": list(found.shape[1:]), f"every_{EVERY}th": rounded(found[0].T[::EVERY])}


def answers(layout: str, model: torch.nn.Module):
    """What the predictor makes of each image with each head."""
    has_two = hasattr(model.model[-1], "one2one_cv2") and not layout.endswith("-fused")
    for head in ("one-to-many", "one-to-one") if has_two else (None,):
        if has_two:
            model.model[-1].end2end = head == "one-to-one"
        for number in range(len(SHAPES_PX)):
            yield {"head": head, "image": number, "detections": predicted(layout, model, number)}
    if has_two:
        del model.model[-1]._end2end


def predicted(layout: str, model: torch.nn.Module, number: int) -> list[dict]:
    """The answer for one image: letterbox and postprocessing are the original's."""
    task, _, predictor_name = TASKS[LAYOUTS[layout][1]]
    package = importlib.import_module(f"ultralytics.models.yolo.{task}")
    augment = importlib.import_module("ultralytics.data.augment")
    pixels = np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8)
    canvas = augment.LetterBox((HEIGHT_PX, WIDTH_PX), auto=False)(image=pixels)
    predictor = getattr(package, predictor_name)(overrides={"save_dir": "/tmp/unused", "verbose": False, **LIMITS})
    predictor.model = SimpleNamespace(
        names=model.names, end2end=model.end2end, kpt_shape=getattr(model.model[-1], "kpt_shape", None)
    )
    predictor.batch = [["image"]]
    with torch.no_grad():
        [result] = predictor.postprocess(model(tensor_of(canvas)), torch.zeros(1, 3, HEIGHT_PX, WIDTH_PX), [pixels])
    return [detection(result[index]) for index in range(len(result))]


def detection(result) -> dict:
    """One detection, from a result that has no other."""
    found = result.obb if result.obb is not None else result.boxes
    row = {"box": rounded(found.xyxy[0]), "score": float(found.conf[0]), "class_id": int(found.cls[0])}
    if result.obb is not None:
        row["corners"] = rounded(found.xyxyxyxy[0])
    if result.keypoints is not None:
        row["keypoints"] = rounded(result.keypoints.data[0])
    if result.masks is not None:
        bits = np.packbits(result.masks.data[0].numpy().astype(bool))
        row["canvas_mask"] = base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode()
    return row


if __name__ == "__main__":
    make_each(__file__, make, dict.fromkeys(LAYOUTS, RELEASE))
