"""Folders as `transformers` saves them, made by the original code, and copies of them with something changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.checkpoints.safetensors import SafetensorsFile
from deployments.definition import ModelDefinition
from deployments.families import load_family
from deployments.families.huggingface.huggingface import HuggingFace
from tests.deployments.checkpoints.safetensors_writer import write_safetensors
from tests.deployments.families.golden_cases import GOLDEN, SAMPLES

FOLDERS = GOLDEN / "huggingface"
EVERY = 23

Tensors = dict[str, NDArray[Any]]


def golden_of(name: str) -> Any:
    """What the original code answers."""
    return json.loads((FOLDERS / f"{name}.json").read_text())


def family_of(folder: Path | str, **fields: Any) -> HuggingFace:
    """The family for a folder, or for one of the golden ones by name."""
    weights = str(FOLDERS / folder if isinstance(folder, str) else folder)
    found = load_family(ModelDefinition(family="huggingface", weights=weights, **fields))
    assert isinstance(found, HuggingFace)
    return found


def copy_of(name: str, folder: Path) -> Path:
    """A copy of a golden folder that may be changed."""
    shutil.copytree(FOLDERS / name, folder, copy_function=shutil.copyfile)
    return folder


def change(folder: Path, file: str = "config.json", **fields: Any) -> None:
    """Other values in a JSON file; None takes a key away."""
    content = json.loads((folder / file).read_text()) | fields
    (folder / file).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def change_tensors(folder: Path, edit: Callable[[Tensors], Tensors]) -> None:
    """Other tensors in the one file of weights."""
    path = folder / "model.safetensors"
    file = SafetensorsFile(path)
    write_safetensors(path, edit({name: file.numpy(name) for name in file.places}))


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Those of `make_huggingface.py`."""
    wide = Image.open(SAMPLES / "seafloor-1.png").convert("RGB")
    upright = wide.transpose(Image.Transpose.TRANSPOSE).crop((0, 100, 540, 777))
    small = wide.crop((100, 300, 131, 323))
    return {name: np.asarray(one) for name, one in (("wide", wide), ("upright", upright), ("small", small))}


def noise(size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """A seeded canvas (height, width, 3)."""
    return np.random.default_rng(7).integers(0, 256, (*size_px, 3), np.uint8)
