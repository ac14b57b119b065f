"""The weights in a folder of Hugging Face: one file of safetensors, or several with an index of which has what."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from deployments.checkpoints.safetensors import MAX_TENSORS, SafetensorsFile, parse_object
from deployments.errors import ModelUnavailable

ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 8 * 2**20
MAX_SHARDS = 64

_SHARD = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\.safetensors$")

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_TO_SAFETENSORS = "save it again with `save_pretrained(folder)` of transformers, which writes model.safetensors"


@dataclass(frozen=True, slots=True)
class FolderTensors:
    """All tensors of a folder, by name."""

    folder: Path
    files: dict[str, SafetensorsFile]
    """Name of a tensor to the file that holds it."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor that is there."""
        return self.files[name].places[name].shape

    def numpy(self, name: str) -> NDArray[Any]:
        """One tensor, read now. Raises ModelUnavailable."""
        return self.files[name].numpy(name)


def open_folder(folder: Path) -> FolderTensors:
    """The tensors in `folder`: of its one file, or of the shards that its index names.

    Raises ModelUnavailable when there is neither, or when index and shards disagree.
    """
    if (folder / ONE_FILE).exists():
        file = SafetensorsFile(folder / ONE_FILE)
        return FolderTensors(folder, dict.fromkeys(file.places, file))
    if not (folder / INDEX).exists():
        raise ModelUnavailable(_no_weights(folder))
    weight_map = read_index(folder / INDEX)
    shards = {name: SafetensorsFile(folder / name) for name in sorted(set(weight_map.values()))}
    for name, shard in shards.items():
        named = {tensor for tensor, place in weight_map.items() if place == name}
        if named != set(shard.places):
            stray = min(named ^ set(shard.places))
            where = "does not hold" if stray in named else "holds beyond what the index says"
            raise shard.refusal(f"{where} tensor {stray[:80]!r}: it does not belong to this {INDEX}")
    return FolderTensors(folder, {tensor: shards[name] for tensor, name in weight_map.items()})


def read_index(path: Path) -> dict[str, str]:
    """The name of a tensor to that of its file, which is a plain name. Raises ModelUnavailable."""
    if path.exists() and not path.is_file():
        raise ModelUnavailable(f"{path}: not a plain file")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_INDEX_BYTES + 1)
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot read the index of weights: {error.strerror}") from error
    if len(text) > MAX_INDEX_BYTES:
        raise ModelUnavailable(f"{path.name}: more than {MAX_INDEX_BYTES} bytes")
    weight_map = parse_object(text, path.name).get("weight_map")
    if not isinstance(weight_map, dict) or not 0 < len(weight_map) <= MAX_TENSORS:
        raise ModelUnavailable(f"{path.name}: has no weight_map of 1 to {MAX_TENSORS} tensors")
    shards = set(map(str, weight_map.values()))
    wrong = next((name for name in weight_map.values() if not isinstance(name, str) or not _SHARD.match(name)), None)
    if wrong is not None:
        raise ModelUnavailable(
            f"{path.name}: names the file {str(wrong)[:80]!r}, expected NAME.safetensors beside it"
        )
    if len(shards) > MAX_SHARDS:
        raise ModelUnavailable(f"{path.name}: names {len(shards)} files, the limit is {MAX_SHARDS}")
    return weight_map


def _no_weights(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: not a folder of a model; weights must name the folder with its config.json"
    pickle = next((name for name in _PICKLES if (folder / name).exists()), None)
    if pickle is not None:
        return f"{folder.name}: its weights are in {pickle}, a pickle, which is not read; {_TO_SAFETENSORS}"
    return f"{folder.name}: holds neither {ONE_FILE} nor {INDEX}"
