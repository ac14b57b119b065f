"""What an RF-DETR file says of its own training, from either container.

Until 1.4 the trainer wrote its command line (`args`, an argparse.Namespace); later releases write a dict, and from
1.7 on also the network's own settings (`model_config`). Any of it may be missing or wrong: values of another type
than expected count as missing, and whoever asks compares the rest with the tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from deployments.checkpoints import Checkpoint, ModuleStub
from deployments.errors import ModelUnavailable

Size = tuple[int, int]
"""Height and width."""

_MOST = 2**20
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class TrainedSettings:
    """The settings of one file."""

    values: Mapping[str, object]
    """By name; those of the network itself win over those of the training."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "TrainedSettings":
        """Those of an open file, whose root is a dict."""
        root = checkpoint.root if isinstance(checkpoint.root, dict) else {}
        return cls({**_mapping(root.get("args")), **_mapping(root.get("model_config"))})

    def integer(self, name: str) -> int | None:
        """A positive integer."""
        value = self.values.get(name)
        return value if _is_count(value) else None

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of integers that are not negative."""
        value = self.values.get(name)
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _SHOWN:
            return None
        return tuple(value) if all(type(item) is int and 0 <= item <= _MOST for item in value) else None

    def size(self, name: str) -> Size | None:
        """Height and width: one number for a square, a pair, or text like '960x1728'."""
        value = self.values.get(name)
        if isinstance(value, str) and len(value) <= _SHOWN:
            parts = value.lower().split("x")
            value = [int(part) if part.strip().isascii() and part.strip().isdigit() else 0 for part in parts]
        if _is_count(value):
            return value, value
        if isinstance(value, list | tuple) and len(value) == 2 and all(_is_count(item) for item in value):
            return value[0], value[1]
        return None

    def is_off(self, name: str) -> bool:
        """Whether a switch is there and off."""
        return self.values.get(name) is False

    def class_names(self) -> tuple[str, ...] | None:
        """The class names in index order; None where the file has none.

        Raises ModelUnavailable for names that are not text: the reference leaves those out, and with them every later
        name stands for another class.
        """
        value = self.values.get("class_names")
        if value is None or value == [] or value == ():
            return None
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ModelUnavailable("its class names are not a list of text; declare `labels`")
        return tuple(names)


def _mapping(value: object) -> Mapping[str, object]:
    found = value.state if isinstance(value, ModuleStub) else value
    return found if isinstance(found, Mapping) else {}


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= _MOST
