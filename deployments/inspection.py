"""What a file of weights is, and the block that would serve it: for somebody who has a file and no block yet.

The file is read as it is when a model is loaded, by the families themselves, so what is said here is true there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, ModelDefinition, is_valid_name
from deployments.errors import ModelUnavailable
from deployments.families import FAMILIES, answers_of, load_family
from deployments.runtimes import Resources, load_runtime

_CHECKPOINTS = (
    *("ultralytics", "ultralytics-classify", "ultralytics-rtdetr", "yolov5", "yolov5-classify"),
    *("detectron2-retinanet", "rf-detr"),
)
_FAMILIES_OF = {".pt": _CHECKPOINTS, ".pth": _CHECKPOINTS[::-1], ".h5": ("keras-retinanet",), ".onnx": ("onnx",)}
"""Suffix -> the families that read such files, likely ones first."""

_DECLARED = {".keras": "keras", "": "saved-model"}
"""Suffix, of a folder none -> the family whose definition must say what the outputs mean."""

_HUB_CONFIG = "config.json"
"""What a folder of family huggingface is told by."""

_GUESSES: tuple[dict[str, Any], ...] = (
    {"task": "detector", "outputs": "raw-head", "pixel_range": "0..1"},
    {"task": "detector", "outputs": "end-to-end", "pixel_range": "0..1"},
    {"task": "detector", "outputs": "queries", "resize": "stretch", "pixel_range": "0..1"},
    {"task": "detector", "outputs": "raw-head-objectness", "pixel_range": "0..1"},
    {"task": "classifier", "interpolation": "antialiased", "pixel_range": "0..1"},
)
"""What the outputs of an ONNX file may be, as its exporters write them."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that can be served. canvas_px: height and width of the network's input."""

    definition: ModelDefinition
    answers: str
    labels: tuple[str, ...]
    canvas_px: tuple[int, int]

    def block(self) -> dict[str, Any]:
        """The model's application, as YAML has it: awake while it is used, on a CPU."""
        args = self.definition.model_dump(mode="json", exclude_defaults=True)
        return {
            "name": _name_of(Path(str(self.definition.weights))),
            "import_path": MODEL_IMPORT_PATH,
            "route_prefix": None,
            "args": args,
            "deployments": [
                {
                    "name": DEPLOYMENT_NAME,
                    "max_ongoing_requests": 64,
                    "autoscaling_config": {"min_replicas": 1, "max_replicas": 1, "target_ongoing_requests": 16},
                    "ray_actor_options": {"num_cpus": 1, "num_gpus": 0},
                }
            ],
        }


def inspect(path: Path) -> Inspected:
    """Reads a file or folder of weights. Raises ModelUnavailable, with the reason, for one that no family serves, or
    of which a person must say more."""
    if not path.exists():
        raise ModelUnavailable(f"{path}: is not there")
    if (path / _HUB_CONFIG).is_file():
        return _of_hub(path)
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix == ".safetensors":
        raise ModelUnavailable(f"{path.name}: named tensors; inspect the folder in which it lies, with {_HUB_CONFIG}")
    if suffix in _DECLARED:
        raise ModelUnavailable(
            f"{path.name}: may be served by family {_DECLARED[suffix]}, but nothing in it says what its outputs "
            "mean: docs/models.md tells what to declare"
        )
    if suffix not in _FAMILIES_OF:
        raise ModelUnavailable(f"{path.name}: files are told by their endings, which are {', '.join(_FAMILIES_OF)}")
    first, telling = "", ""
    for definition in _tried(path, _FAMILIES_OF[suffix]):
        try:
            return _as_loaded(definition)
        except ModelUnavailable as error:
            reason = f"family {definition.family}: {error.message}"
            first = first or reason
            # Most families only say that the file is none of theirs.
            telling = telling or ("" if error.is_other_family else reason)
    raise ModelUnavailable(telling or first)


def _tried(path: Path, families: tuple[str, ...]) -> Iterator[ModelDefinition]:
    for family in families:
        for parameters in _GUESSES if family == "onnx" else ({},):
            yield ModelDefinition(family=family, weights=str(path), parameters=parameters)


def _of_hub(folder: Path) -> Inspected:
    definition = ModelDefinition(family="huggingface", weights=str(folder))
    # Said in the block, since nothing but the folder itself tells it otherwise.
    answer = "class-scores" if load_family(definition).labels else "embedding"
    return _as_loaded(definition.model_copy(update={"parameters": {"answer": answer}}))


def _as_loaded(definition: ModelDefinition) -> Inspected:
    family = load_family(definition)
    entry = FAMILIES[definition.family]
    if entry.runtime == "onnx":
        # Only what it answers tells whether the guess is right.
        load_runtime(entry.runtime, Resources()).load(family, (1,))
    return Inspected(definition, answers_of(definition), family.labels, family.input_px)


def _name_of(path: Path) -> str:
    name = path.stem.replace(" ", "-")
    return name if is_valid_name(name) else "my-model"
