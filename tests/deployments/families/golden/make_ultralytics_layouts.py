"""Makes the ultralytics checkpoints and outputs in this folder with the ORIGINAL code of ultralytics.

    pip install --no-deps --target PACKAGES/8.4.190 ultralytics==8.4.190    (and each other release in LAYOUTS)
    python make_ultralytics_layouts.py PACKAGES [LAYOUT ...]

Needs an environment of its own with PyTorch (1.13 was used, and 2.13 for those with two heads), NumPy and PyYAML;
nothing of this project is imported. Networks are tiny, weights random but seeded. For each layout: the checkpoint as that release's trainer
leaves it, stripped or not, and some columns of the raw head for a seeded image; of a network with two heads the best
rows of its one-to-one head too.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import torch
import yaml
from make_yolov5_layouts import CLASSES, HERE, Absent, balance, image, randomize

EVERY = 17
BEST = 40
LAYOUTS = {
    # Large YOLO12s have a residual with a learned scale, and other ratios inside.
    "yolo12-l": ("8.4.190", "cfg/models/12/yolo12.yaml", {"l": [0.5, 0.25, 256]}),
    # Four levels, up to a stride of 64.
    "yolov8-p6": ("8.4.190", "cfg/models/v8/yolov8-p6.yaml", {"n": [0.33, 0.0625, 1024]}),
    # Two heads.
    "yolov10-n": ("8.4.190", "cfg/models/v10/yolov10n.yaml", {"n": [0.33, 0.0625, 1024]}),
    "yolov10-fused": ("8.4.190", "cfg/models/v10/yolov10n.yaml", {"n": [0.33, 0.0625, 1024]}),
    "yolo26-unstripped": ("8.4.190", "cfg/models/26/yolo26.yaml", {"n": [0.5, 0.0625, 1024]}),
    # The first releases kept all modules in one file, whose name is in the pickle.
    "yolov8-first": ("8.0.20", "models/v8/yolov8n.yaml", {}),
}


def make(layout: str) -> None:
    """One layout, in this process: the release's own modules must be the ones that are pickled."""
    release, config, scales = LAYOUTS[layout]
    tasks = importlib.import_module("ultralytics.nn.tasks")
    content = yaml.safe_load((Path(tasks.__file__).parents[1] / config).read_text())
    content |= {"nc": len(CLASSES)} | ({"scales": scales, "scale": next(iter(scales))} if scales else {})
    if not scales:
        content |= {"width_multiple": 0.0625, "depth_multiple": 0.33}
    with torch.no_grad():
        model = tasks.DetectionModel(content, ch=3, nc=len(CLASSES), verbose=False)
    randomize(model, seed=3)
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            parameter.data.uniform_(0.2, 0.9, generator=torch.Generator().manual_seed(4))
    settings = {"imgsz": 192, "task": "detect"}
    model.names, model.args = dict(enumerate(CLASSES)), settings
    x = torch.from_numpy(image().transpose(2, 0, 1)[None].copy()).float() / 255
    balance(model, x)
    model = model.half().float().eval()
    with torch.no_grad():
        raw = model(x)[0][0].numpy()
    golden = {
        "release": release,
        "shape": list(raw.shape),
        f"every_{EVERY}th": [[round(float(value), 5) for value in column] for column in raw.T[::EVERY]],
    }
    if hasattr(model.model[-1], "one2one_cv2"):
        model.model[-1].end2end = True
        with torch.no_grad():
            best = model(x)[0][0, :BEST].numpy()
        golden["one_to_one"] = [[round(float(value), 5) for value in row] for row in best]
        del model.model[-1]._end2end
    if layout.endswith("-fused"):
        model.model[-1].end2end = True
        model = model.float().fuse(verbose=False)
    if layout.endswith("-unstripped"):
        # What its trainer writes after each epoch, settings and optimizer in their own classes.
        model.args = importlib.import_module("ultralytics.utils").IterableSimpleNamespace(**settings)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9).state_dict()
        content = {"epoch": 3, "best_fitness": 0.5, "model": None, "ema": model.half(), "updates": 12}
        content |= {"optimizer": optimizer, "scaler": {}, "train_metrics": {"fitness": 0.5}}
    else:
        content = {"epoch": -1, "best_fitness": None, "model": model.half(), "ema": None, "optimizer": None}
    torch.save(content | {"version": release, "train_args": settings}, HERE / f"{layout}.pt")
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")


def main() -> None:
    """Each layout in a process of its own, with its release."""
    if sys.argv[1] == "--here":
        sys.path.insert(0, sys.argv[2])
        sys.meta_path.append(Absent())
        Absent.packages = tuple(name for name in Absent.packages if name != "ultralytics")
        make(sys.argv[3])
        return
    wanted = sys.argv[2:] or LAYOUTS
    for layout, (release, *_) in LAYOUTS.items():
        if layout in wanted:
            packages = Path(sys.argv[1]).resolve() / release
            subprocess.run([sys.executable, __file__, "--here", str(packages), layout], check=True)


if __name__ == "__main__":
    main()
