"""Makes the ONNX files and outputs in this folder with the ORIGINAL exporter and predictor of ultralytics.

    python make_generic_onnx.py

Needs an environment of its own with ultralytics 8.4.190, PyTorch, torchvision, onnx, onnxruntime and
onnxconverter-common; nothing of this project is imported. The detectors are exports of `yolov8-first.pt`, so that
one network is there in both formats; the classifier is tiny, its weights random but seeded.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": tempfile.mkdtemp()}

import PIL.Image
import torch
import yaml
from generic_pictures import SHAPES_PX, picture
from make_yolov5_layouts import CLASSES, HERE, randomize
from ultralytics import YOLO
from ultralytics import __file__ as package
from ultralytics.data.augment import classify_transforms
from ultralytics.nn.tasks import ClassificationModel

CANVAS_PX = 192
CLASSIFIER_PX = 64
EXPORT = {"format": "onnx", "opset": 17, "simplify": False, "device": "cpu"}


def export(checkpoint: Path, name: str, **options: object) -> None:
    """One export, under a name in this folder."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copyfile(checkpoint, Path(folder) / "weights.pt")
        shutil.move(YOLO(copy).export(**EXPORT, **options), HERE / name)


def spread_answers(model: ClassificationModel) -> None:
    """Make the answers for our pictures differ, as those of a trained network do."""
    prepare = classify_transforms(CLASSIFIER_PX)
    batch = torch.stack([prepare(PIL.Image.fromarray(picture(*shape))) for shape in SHAPES_PX])
    linear = model.model[-1].linear
    linear.weight.data *= 100
    with torch.no_grad():
        linear.bias.data -= model.eval()(batch)[0].log().mean(dim=0)


def make_classifier(folder: Path) -> Path:
    """A checkpoint as the trainer leaves it."""
    content = yaml.safe_load((Path(package).parent / "cfg/models/v8/yolov8-cls.yaml").read_text())
    content |= {"nc": len(CLASSES), "scales": {"n": [0.33, 0.0625, 1024]}, "scale": "n"}
    torch.manual_seed(5)
    model = ClassificationModel(content, ch=3, nc=len(CLASSES), verbose=False)
    randomize(model, seed=5)
    spread_answers(model)
    model.names, model.args = dict(enumerate(CLASSES)), {"imgsz": CLASSIFIER_PX, "task": "classify"}
    path = folder / "classifier.pt"
    torch.save({"epoch": -1, "model": model.eval(), "ema": None, "train_args": model.args}, path)
    return path


def main() -> None:
    export(HERE / "yolov8-first.pt", "yolov8-first-half.onnx", imgsz=CANVAS_PX, dynamic=True, half=True)
    export(HERE / "yolov8-first.pt", "yolov8-first-nms.onnx", imgsz=CANVAS_PX, nms=True, conf=0.05, iou=0.5)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = make_classifier(Path(folder))
        export(checkpoint, "yolov8-cls.onnx", imgsz=CLASSIFIER_PX, dynamic=True)
        pictures = [picture(*shape) for shape in SHAPES_PX]
        # The predictor takes BGR arrays.
        found = [YOLO(checkpoint).predict(one[..., ::-1], imgsz=CLASSIFIER_PX, verbose=False)[0] for one in pictures]
    answers = [
        {"shape_px": shape, "probabilities": [round(float(value), 6) for value in one.probs.data]}
        for shape, one in zip(SHAPES_PX, found, strict=True)
    ]
    (HERE / "yolov8-cls.json").write_text(json.dumps({"names": CLASSES, "answers": answers}) + "\n")


if __name__ == "__main__":
    main()
