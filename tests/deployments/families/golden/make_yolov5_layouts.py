"""Makes the checkpoints and outputs in this folder with the ORIGINAL code of ultralytics/yolov5.

    python make_yolov5_layouts.py CHECKOUTS [LAYOUT ...]

CHECKOUTS has one checkout of that repository for each tag in LAYOUTS (`git worktree add CHECKOUTS/v5.0 v5.0`).
Needs an environment of its own with PyTorch (1.13 was used, and 2.13 for the last four), NumPy and PyYAML; nothing
of this project is imported. Networks are tiny, weights random but seeded. For each layout: the checkpoint as that
tag's train.py and strip_optimizer save it, and some rows of the decoded head for a seeded image.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import torch
import yaml

HERE = Path(__file__).resolve().parent
CLASSES = ["coral", "crinoid", "sponge", "fish"]
HEIGHT_PX, WIDTH_PX = 128, 192
EVERY = 17
WIDTH, DEPTH = 0.0625, 0.33
LAYOUTS = {
    "yolov5-v3-csp": ("v3.0", "models/yolov5s.yaml"),
    "yolov5-v5-focus": ("v5.0", "models/yolov5s.yaml"),
    "yolov5-v7-p6-unstripped": ("v7.0", "models/hub/yolov5s6.yaml"),
    "yolov5-v7-ghost": ("v7.0", "models/hub/yolov5s-ghost.yaml"),
    "yolov5-v7-transformer": ("v7.0", "models/hub/yolov5s-transformer.yaml"),
    "yolov5-v7-v3-tiny": ("v7.0", "models/hub/yolov3-tiny.yaml"),
    "yolov5-v7-others": ("v7.0", "models/yolov5s.yaml"),
}
OTHERS = {"C3": "C3x", "SPPF": "C3SPP"}
"""Blocks that no configuration of the repository names, put in the place of some that it does."""


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for plotting and logging packages that the network never calls."""

    packages: tuple[str, ...] = (
        *("PIL", "matplotlib", "seaborn", "pandas", "torchvision", "cv2", "scipy", "tqdm"),
        *("thop", "IPython", "ultralytics", "sentry_sdk"),
    )

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__, module.__name__ = spec, [], spec.name
        return module

    def exec_module(self, module):
        pass


def image() -> np.ndarray:
    """The picture that goes in: uint8 RGB."""
    return np.random.default_rng(7).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights and statistics of a network in working order."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.8, 1.2),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                tensor.data.uniform_(low, high, generator=generator)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and module.weight.requires_grad:
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)


def balance(model: torch.nn.Module, x: torch.Tensor) -> None:
    """Scale the last convolutions, which alone have biases, so that no sigmoid or softmax saturates."""

    def scale(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        module.weight.data *= 1.5 / (output - module.bias.view(1, -1, 1, 1)).std()
        module.bias.data.zero_()

    last = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d) and module.bias is not None]
    hooks = [module.register_forward_hook(scale) for module in last]
    with torch.no_grad():
        model.eval()(x)
    for hook in hooks:
        hook.remove()


def make(layout: str) -> None:
    """One layout, in this process: the tag's own modules must be the ones that are pickled."""
    config = LAYOUTS[layout][1]
    content = yaml.safe_load(Path(config).read_text())
    content |= {"nc": len(CLASSES), "width_multiple": WIDTH, "depth_multiple": DEPTH}
    if layout.endswith("-others"):
        content["activation"] = "nn.Mish()"
        for layer in content["backbone"]:
            layer[2] = OTHERS.get(layer[2], layer[2])
            layer[3] = [1024, [5, 9, 13]] if layer[2] == "C3SPP" else layer[3]
    Path("tiny.yaml").write_text(yaml.safe_dump(content))
    yolo: ModuleType = importlib.import_module("models.yolo")
    # The oldest tag sets its biases in place, which newer PyTorch allows only without gradients.
    with torch.no_grad():
        model = getattr(yolo, "DetectionModel", yolo.Model)("tiny.yaml", ch=3)
    randomize(model, seed=1)
    stripped = "unstripped" not in layout
    model.names = list(CLASSES) if stripped else dict(enumerate(CLASSES))
    model.nc, model.hyp = len(CLASSES), {"lr0": 0.01, "anchor_t": 4.0}
    x = torch.from_numpy(image().transpose(2, 0, 1)[None].copy()).float() / 255
    balance(model, x)
    model = model.half().float().eval()
    with torch.no_grad():
        rows = model(x)[0][0].numpy()
    checkpoint = {"epoch": -1, "best_fitness": None, "model": model.half(), "ema": None, "optimizer": None}
    if not stripped:
        checkpoint |= training_state(yolo, model)
    torch.save(checkpoint, HERE / f"{layout}.pt")
    golden = {
        "tag": LAYOUTS[layout][0],
        "rows": len(rows),
        "sum": float(rows.astype(np.float64).sum()),
        f"every_{EVERY}th": [[round(float(value), 5) for value in row] for row in rows[::EVERY]],
    }
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")


def training_state(yolo: ModuleType, ema: torch.nn.Module) -> dict:
    """What train.py leaves in best.pt: the weights that count are under `ema`, `model` is one step behind."""
    model = yolo.DetectionModel("tiny.yaml", ch=3)
    randomize(model, seed=2)
    # Momentum of the vectors only, to keep the file small.
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.SGD(vectors, lr=0.01, momentum=0.9)
    sum(parameter.sum() for parameter in vectors).backward()
    optimizer.step()
    return {
        "epoch": 12,
        "best_fitness": np.array([0.5]),
        "model": model.half(),
        "ema": ema,
        "updates": 100,
        "optimizer": optimizer.state_dict(),
        "opt": {"weights": "yolov5n6.pt", "imgsz": 1280},
        "date": "2024-01-01T00:00:00",
    }


def main() -> None:
    """Each layout in a process of its own, in its tag's checkout."""
    if sys.argv[1] == "--here":
        sys.path.insert(0, str(Path.cwd()))
        sys.meta_path.insert(0, Absent())
        make(sys.argv[2])
        return
    for layout in sys.argv[2:] or LAYOUTS:
        checkout = Path(sys.argv[1]).resolve() / LAYOUTS[layout][0]
        subprocess.run([sys.executable, __file__, "--here", layout], cwd=checkout, check=True)


if __name__ == "__main__":
    main()
