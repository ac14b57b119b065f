"""Makes the ultralytics checkpoints and outputs in this folder with the ORIGINAL code of ultralytics.

    pip install --no-deps --target PACKAGES/8.4.190 ultralytics==8.4.190    (and each other release in LAYOUTS)
    python make_ultralytics_layouts.py PACKAGES [LAYOUT ...]

Needs an environment of its own with PyTorch (1.13 was used, and 2.13 for YOLOv9, YOLOv10, YOLO26), NumPy and PyYAML;
nothing of this project is imported. Networks are tiny, weights random but seeded. For each layout: the checkpoint as
that release's trainer leaves it, stripped or not, and some columns of the raw head for a seeded image; of a network
with two heads the best rows of its one-to-one head too.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from make_yolov5_layouts import CLASSES, HERE, Absent, balance, image, randomize

EVERY = 17
BEST = 40
LAYOUTS: dict[str, tuple[str, str, dict | int]] = {
    # Release, configuration, and how it is made small: scales, or a divisor of all channels.
    # Large YOLO12s have a residual with a learned scale, and other ratios inside.
    "yolo12-l": ("8.4.190", "cfg/models/12/yolo12.yaml", {"l": [0.5, 0.25, 256]}),
    # Four levels, up to a stride of 64.
    "yolov8-p6": ("8.4.190", "cfg/models/v8/yolov8-p6.yaml", {"n": [0.33, 0.0625, 1024]}),
    # Half of the channels by a convolution, the other half from those.
    "yolov8-ghost": ("8.4.190", "cfg/models/v8/yolov8-ghost.yaml", {"n": [0.33, 0.0625, 1024]}),
    # Activations of another kind, and transposed convolutions in the neck.
    "yolov6-n": ("8.4.190", "cfg/models/v6/yolov6.yaml", {"n": [0.33, 0.0625, 512]}),
    # Pooling before convolutions, and two convolutions that are added.
    "yolov9-t": ("8.4.190", "cfg/models/v9/yolov9t.yaml", 4),
    "yolov9-c": ("8.4.190", "cfg/models/v9/yolov9c.yaml", 16),
    # Two heads.
    "yolov10-n": ("8.4.190", "cfg/models/v10/yolov10n.yaml", {"n": [0.33, 0.0625, 1024]}),
    "yolov10-fused": ("8.4.190", "cfg/models/v10/yolov10n.yaml", {"n": [0.33, 0.0625, 1024]}),
    "yolo26-unstripped": ("8.4.190", "cfg/models/26/yolo26.yaml", {"n": [0.5, 0.0625, 1024]}),
    "yolo26-cls": ("8.4.190", "cfg/models/26/yolo26-cls.yaml", {"n": [0.5, 0.0625, 1024]}),
    # The first releases kept all modules in one file, whose name is in the pickle.
    "yolov8-first": ("8.0.20", "models/v8/yolov8n.yaml", {}),
}


def make(layout: str) -> None:
    """One layout, in this process: the release's own modules must be the ones that are pickled."""
    model, settings = network(layout), {"imgsz": 192, "task": "detect"}
    randomize(model, seed=3)
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            parameter.data.uniform_(0.2, 0.9, generator=torch.Generator().manual_seed(4))
    model.names = dict(enumerate(CLASSES))
    if not layout.endswith("-cls"):
        model.args = settings
    x = torch.from_numpy(image().transpose(2, 0, 1)[None].copy()).float() / 255
    balance(model, x)
    model = model.eval()
    if layout.endswith("-fused"):
        model.model[-1].end2end = True
        model = model.fuse(verbose=False)
    model = model.half().float()
    golden = answers(model, x) | {"release": LAYOUTS[layout][0]}
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")
    torch.save(content(layout, LAYOUTS[layout][0], model.half(), settings), HERE / f"{layout}.pt")


def network(layout: str) -> torch.nn.Module:
    """The release's own network, made small."""
    _, config, scales = LAYOUTS[layout]
    tasks = importlib.import_module("ultralytics.nn.tasks")
    content = yaml.safe_load((Path(tasks.__file__).parents[1] / config).read_text()) | {"nc": len(CLASSES)}
    if isinstance(scales, int):
        for *_, kind, arguments in content["backbone"] + content["head"]:
            if kind not in ("nn.Upsample", "Concat", "Detect"):
                arguments[:] = [max(8, one // scales) if one >= 16 else one for one in arguments]
    elif scales:
        content |= {"scales": scales, "scale": next(iter(scales))}
    else:
        content |= {"width_multiple": 0.0625, "depth_multiple": 0.33}
    kind = tasks.ClassificationModel if layout.endswith("-cls") else tasks.DetectionModel
    with torch.no_grad():
        return kind(content, ch=3, nc=len(CLASSES), verbose=False)


def answers(model: torch.nn.Module, x: torch.Tensor) -> dict:
    """Some columns of the raw head, or of two heads the one-to-many one, and the best of a one-to-one head."""
    head = model.model[-1]
    with torch.no_grad():
        raw = model(x)[0][0].numpy()
        golden = {"shape": list(raw.shape)}
        columns = np.atleast_2d(raw.T)[::EVERY]
        golden[f"every_{EVERY}th"] = [[round(float(value), 5) for value in column] for column in columns]
        if hasattr(head, "one2one_cv2"):
            chosen, head.end2end = vars(head).get("_end2end"), True
            best = model(x)[0][0, :BEST].numpy()
            golden["one_to_one"] = [[round(float(value), 5) for value in row] for row in best]
            if chosen is None:
                del head._end2end
    return golden


def content(layout: str, release: str, model: torch.nn.Module, settings: dict) -> dict:
    """What the release's trainer saves: at the end, or after each epoch, settings and optimizer in their classes."""
    common = {"version": release, "train_args": settings}
    if not layout.endswith("-unstripped"):
        return {"epoch": -1, "best_fitness": None, "model": model, "ema": None, "optimizer": None} | common
    model.args = importlib.import_module("ultralytics.utils").IterableSimpleNamespace(**settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9).state_dict()
    saved = {"epoch": 3, "best_fitness": 0.5, "model": None, "ema": model, "updates": 12}
    return saved | {"optimizer": optimizer, "scaler": {}, "train_metrics": {"fitness": 0.5}} | common


def make_each(script: str, make: Callable[[str], None], releases: dict[str, str]) -> None:
    """What such a script does: each layout in a process of its own, with its release.

    releases: of each layout.
    """
    if sys.argv[1] == "--here":
        sys.path.insert(0, sys.argv[2])
        sys.meta_path.append(Absent())
        Absent.packages = tuple(name for name in Absent.packages if name != "ultralytics")
        make(sys.argv[3])
        return
    for layout in sys.argv[2:] or releases:
        packages = Path(sys.argv[1]).resolve() / releases[layout]
        subprocess.run([sys.executable, script, "--here", str(packages), layout], check=True)


if __name__ == "__main__":
    make_each(__file__, make, {layout: release for layout, (release, *_) in LAYOUTS.items()})
