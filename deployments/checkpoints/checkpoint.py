"""An open checkpoint and the two things that families look for in it."""

from pathlib import Path
from typing import Any, Self

from deployments.checkpoints.archive import Archive
from deployments.checkpoints.module_stub import ModuleStub, describe
from deployments.checkpoints.tensors import Tensor
from deployments.checkpoints.unpickle import unpickle
from deployments.errors import ModelUnavailable


class Checkpoint:
    """The object tree of one file. Tensors can be read until it is closed."""

    def __init__(self, archive: Archive, root: object) -> None:
        self._archive = archive
        self.root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._archive.close()

    def refusal(self, reason: str) -> ModelUnavailable:
        """The error that refuses this file for `reason`."""
        return self._archive.refusal(reason)

    def network(self) -> ModuleStub:
        """The pickled network: `ema`, the averaged weights of an un-stripped file, wins over `model`.

        Raises ModelUnavailable when the file holds neither.
        """
        root = self._top_dict()
        found = root.get("ema") if root.get("ema") is not None else root.get("model")
        if not isinstance(found, ModuleStub):
            raise self.refusal(
                f"its 'model' is {describe(found)}, expected a whole pickled network; it has {_keys(root)}"
            )
        return found

    def state_dict(self, key: str) -> dict[str, Tensor]:
        """The named tensors under `key`. Raises ModelUnavailable when there are none."""
        root = self._top_dict()
        found: Any = root.get(key)
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise self.refusal(f"its {key!r} is {describe(found)}, expected named tensors; it has {_keys(root)}")
        return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}

    def _top_dict(self) -> dict[Any, Any]:
        if not isinstance(self.root, dict):
            raise self.refusal(f"holds {describe(self.root)}, expected a dict with a 'model'")
        return self.root


def open_checkpoint(path: Path) -> Checkpoint:
    """Read the pickle of a checkpoint; the weights stay in the file until asked for.

    Raises ModelUnavailable when the file cannot be read, is not a checkpoint, or holds what no model needs.
    """
    archive = Archive(path)
    try:
        return Checkpoint(archive, unpickle(archive))
    except BaseException:
        archive.close()
        raise


def _keys(root: dict[Any, Any]) -> list[str]:
    return [describe(key) for key in list(root)[:20]]
