"""Makes the RT-DETR checkpoints of ultralytics in this folder, and what the ORIGINAL code answers with them.

    python make_ultralytics_rtdetr.py PACKAGES [LAYOUT ...]

PACKAGES and the environment are those of `make_ultralytics_heads.py`. Networks are tiny, weights random but seeded.
For each layout: the stripped checkpoint; the rows of the head for a seeded image; and what the predictor makes of two
images of other shapes than the canvas.
"""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from make_ultralytics_heads import LIMITS, RELEASE, SHAPES_PX, detection, rounded, tensor_of
from make_ultralytics_layouts import content, make_each
from make_yolov5_layouts import CLASSES, HEIGHT_PX, HERE, WIDTH_PX, image, randomize

HEAD = ["nc", 32, 40, 4, 4, 3, 64]
"""Classes, channels, queries, points, heads, layers, channels between them."""
LAYOUTS = {"rtdetr-l": ("rt-detr/rtdetr-l.yaml", 16), "rtdetr-resnet": ("rt-detr/rtdetr-resnet50.yaml", 8)}
"""Configuration, and the divisor of all channels."""


def make(layout: str) -> None:
    """One layout, in this process."""
    torch.manual_seed(5)
    model = network(layout)
    randomize(model, seed=5)
    generator = torch.Generator().manual_seed(6)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data.normal_(0, (2 / module.weight.shape[1]) ** 0.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    model.names, model.args = dict(enumerate(CLASSES)), {"imgsz": 192, "task": "detect"}
    model = model.eval().half().float()
    with torch.no_grad():
        rows = model(tensor_of(image()))[0][0]
    answers = [{"image": number, "detections": predicted(model, number)} for number in range(len(SHAPES_PX))]
    golden = {"release": RELEASE, **LIMITS, "rows": rounded(rows), "answers": answers}
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")
    torch.save(content(layout, RELEASE, model.half(), model.args), HERE / f"{layout}.pt")


def network(layout: str) -> torch.nn.Module:
    """The release's own network, made small."""
    tasks = importlib.import_module("ultralytics.nn.tasks")
    config, divisor = LAYOUTS[layout]
    path = Path(tasks.__file__).parents[1] / "cfg" / "models" / config
    settings = yaml.safe_load(path.read_text()) | {"nc": len(CLASSES)}
    for *_, kind, arguments in settings["backbone"] + settings["head"]:
        if kind not in ("nn.Upsample", "Concat"):
            arguments[:] = [max(8, one // divisor) if type(one) is int and one >= 16 else one for one in arguments]
        if kind == "AIFI":
            arguments[1] = 4
    settings["head"][-1][3] = HEAD
    with torch.no_grad():
        return tasks.RTDETRDetectionModel(settings, ch=3, nc=len(CLASSES), verbose=False)


def predicted(model: torch.nn.Module, number: int) -> list[dict]:
    """The answer for one image: resizing and postprocessing are the original's."""
    package = importlib.import_module("ultralytics.models.rtdetr.predict")
    augment = importlib.import_module("ultralytics.data.augment")
    pixels = np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8)
    canvas = augment.LetterBox((HEIGHT_PX, WIDTH_PX), auto=False, scale_fill=True)(image=pixels)
    predictor = package.RTDETRPredictor(overrides={"save_dir": "/tmp/unused", "verbose": False, **LIMITS})
    predictor.model, predictor.batch = SimpleNamespace(names=model.names), [["image"]]
    with torch.no_grad():
        [result] = predictor.postprocess(model(tensor_of(canvas)), torch.zeros(1, 3, HEIGHT_PX, WIDTH_PX), [pixels])
    return [detection(result[index]) for index in range(len(result))]


if __name__ == "__main__":
    make_each(__file__, make, dict.fromkeys(LAYOUTS, RELEASE))
