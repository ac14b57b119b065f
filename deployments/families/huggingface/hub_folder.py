"""The small files of a folder of Hugging Face, read as data."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.checkpoints.safetensors import parse_object
from deployments.errors import ModelUnavailable

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
MAX_BYTES = 4 * 2**20
"""Of each; the names of 22,000 classes fit in."""


class HubFile(BaseModel):
    """Base of what is read from such a file. `transformers` ignores keys that it does not know, and so is done here:
    a key that changes an answer is one that an architecture reads, and those are fields."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


FileT = TypeVar("FileT", bound=HubFile)


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file of the folder. Raises ModelUnavailable, saying what to do where there is none."""
    path = folder / name
    if folder.is_file():
        raise ModelUnavailable(
            f"{folder}: a file; weights must name the folder in which it lies, with its {CONFIG}, or hf://OWNER/REPO"
        )
    if path.exists() and not path.is_file():
        raise ModelUnavailable(f"{path}: not a plain file")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ModelUnavailable(
            f"{folder}: holds no {name}; it is one of the files that `save_pretrained(folder)` of a model and its "
            "image processor write"
        ) from None
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise ModelUnavailable(f"{name}: more than {MAX_BYTES} bytes")
    return parse_object(text, name)


def validated(kind: type[FileT], content: dict[str, Any], name: str) -> FileT:
    """The checked content of the file `name`. Raises ModelUnavailable, naming the field."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part)[:60] for part in first["loc"]) or "its content"
        got = "" if first["type"] in ("missing", "value_error") else f", got {str(first['input'])[:60]}"
        raise ModelUnavailable(f"{name}: {field}: {first['msg'].removeprefix('Value error, ')[:300]}{got}") from None
