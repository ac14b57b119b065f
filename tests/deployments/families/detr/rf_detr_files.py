"""RF-DETR files for tests: those of the reference, and copies of them that a test has changed."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints import ModuleStub, open_checkpoint
from deployments.definition import ModelDefinition
from deployments.families.detr.rf_detr import RfDetr
from tests.deployments.checkpoints.checkpoint_writer import Weights, instance, mapping, plain, write

GOLDEN = Path(__file__).parents[1] / "golden"
LAYOUTS = ("rf-detr-nano", "rf-detr-rectangular", "rf-detr-old-large", "rf-detr-seg")

Tensors = dict[str, NDArray[Any]]


def golden_of(layout: str) -> Any:
    """What the original code gave."""
    return json.loads((GOLDEN / f"{layout}.json").read_text())


def definition(path: Path, **args: Any) -> ModelDefinition:
    """A definition of this file."""
    return ModelDefinition(family="rf-detr", weights=str(path), **args)


def family_of(layout: str, canvas_px: tuple[int, int] | None = None, **parameters: Any) -> RfDetr:
    """The family of one of the reference's files."""
    return RfDetr(definition(GOLDEN / f"{layout}.pth", canvas_px=canvas_px, parameters=parameters))


def parts_of(layout: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the settings of one of the reference's files."""
    with open_checkpoint(GOLDEN / f"{layout}.pth") as checkpoint:
        tensors = {name: tensor.numpy() for name, tensor in checkpoint.state_dict("model").items() if tensor.numel}
        root: Any = checkpoint.root
        args = root["args"]
        settings = dict(args.state if isinstance(args, ModuleStub) else args) | dict(root.get("model_config", {}))
    return tensors, {key: value for key, value in settings.items() if not isinstance(value, ModuleStub)}


def write_rf_detr(path: Path, tensors: Tensors, settings: Mapping[str, object] | None) -> Path:
    """A file with a command line, as releases before 1.5 wrote it; None for none."""
    weights = Weights()
    content = {"model": mapping({name: weights.tensor(values) for name, values in tensors.items()})}
    if settings is not None:
        content["args"] = instance("argparse.Namespace", plain(dict(settings)))
    return write(path, mapping(content), weights.storages, root="checkpoint_best_total")


def changed(
    path: Path,
    change: Callable[[Tensors, dict[str, Any]], None] = lambda tensors, settings: None,
    layout: str = "rf-detr-nano",
) -> Path:
    """A copy of one of the reference's files, changed by a test."""
    tensors, settings = parts_of(layout)
    change(tensors, settings)
    return write_rf_detr(path, tensors, settings)


def blots(size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture whose raw outputs the reference wrote down, uint8 RGB."""
    import PIL.Image

    small = np.random.default_rng(7).integers(0, 256, (9, 13, 3), np.uint8)
    return np.asarray(PIL.Image.fromarray(small).resize(size_px[::-1], PIL.Image.Resampling.BICUBIC))
