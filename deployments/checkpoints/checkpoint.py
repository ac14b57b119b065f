"""An open checkpoint and the two things that families look for in it."""

from pathlib import Path
from typing import Any, Self

from deployments.checkpoints.archive import Archive
from deployments.checkpoints.file_kinds import family_of_tensors
from deployments.checkpoints.module_stub import ModuleStub, describe
from deployments.checkpoints.tensors import Tensor
from deployments.checkpoints.unpickle import unpickle
from deployments.errors import ModelUnavailable

_WRAPPERS = (("torch.nn.parallel.", "module"), ("ultralytics.models.", "model"))
"""Start of a class that holds a network and is none -> the child that is."""

_MOST_WRAPPERS = 3


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

    def other_family(self, reason: str) -> ModelUnavailable:
        """The error that refuses this file as one of another family."""
        error = self.refusal(reason)
        error.is_other_family = True
        return error

    def network(self) -> ModuleStub:
        """The pickled network: `ema`, the averaged weights of an un-stripped file, wins over `model`. A file may also
        hold the network alone, and a network may be wrapped for several GPUs.

        Raises ModelUnavailable when the file holds none.
        """
        found = self.root
        if not isinstance(found, ModuleStub):
            root = self._top_dict()
            found = root.get("ema") if root.get("ema") is not None else root.get("model")
            if not isinstance(found, ModuleStub):
                raise self.other_family(
                    f"its 'model' is {describe(found)}, expected a whole pickled network; it has {_keys(root)}"
                    f"{_hint(root)}"
                )
        try:
            return _unwrapped(found)
        except ModelUnavailable as error:
            raise self.refusal(error.message) from error

    def state_dict(self, key: str) -> dict[str, Tensor]:
        """The named tensors under `key`. Raises ModelUnavailable when there are none."""
        root = self._top_dict()
        found: Any = root.get(key)
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise self.other_family(f"its {key!r} is {describe(found)}, expected named tensors; it has {_keys(root)}")
        return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}

    def _top_dict(self) -> dict[Any, Any]:
        if not isinstance(self.root, dict):
            raise self.other_family(f"holds {describe(self.root)}, expected a dict with a 'model'")
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


def _unwrapped(network: ModuleStub) -> ModuleStub:
    for _ in range(_MOST_WRAPPERS):
        inner = next((name for start, name in _WRAPPERS if network.kind.startswith(start)), None)
        if inner is None:
            break
        network = network.child(inner)
    return network


def _hint(root: dict[Any, Any]) -> str:
    found = root.get("model") or root.get("state_dict") or root
    tensors = [name for name, value in found.items() if isinstance(value, Tensor)] if isinstance(found, dict) else []
    return family_of_tensors(map(str, tensors)) if tensors else ""


def _keys(root: dict[Any, Any]) -> list[str]:
    return [describe(key) for key in list(root)[:20]]
