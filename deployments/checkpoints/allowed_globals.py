"""Which names a checkpoint may use, and what inert thing each becomes. Nothing here is looked up or imported:
a name is text, and a name that is not in these tables refuses the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployments.checkpoints.archive import Archive
from deployments.checkpoints.module_stub import ModuleStub
from deployments.checkpoints.tensors import STORAGE_TYPES, Tensor, rebuild

MODULE_PACKAGES = (
    "models.",
    "ultralytics.",
    "yolov5.models.",
    "torch.nn.modules.",
    "torch.nn.parallel.",
    "torchvision.transforms.transforms.",
)
"""Classes of these packages become stubs: layers, networks, what wraps them for several GPUs, their losses and
settings, and how a classifier's images were prepared."""

_NAMESPACES = frozenset({"argparse.Namespace", "types.SimpleNamespace", "ultralytics.utils.IterableSimpleNamespace"})
"""Settings. Some pickle themselves as a call of their class with nothing, and their attributes as its state."""

# Values of training settings and of optimizers, and the methods that `fuse()` of ultralytics puts in the place of
# others. They are kept as stubs since nothing of them is needed.
_INERT_CALLS = frozenset(
    {
        "__builtin__.getattr",
        "builtins.getattr",
        "_codecs.encode",
        "datetime.datetime",
        "datetime.timedelta",
        "dill._dill._load_type",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
        "torch.device",
        "torchvision.transforms.functional.InterpolationMode",
    }
)
_DATA = frozenset(
    {"numpy.ndarray", "builtins.dict", "builtins.list", "__builtin__.dict", "__builtin__.list"}
    | {f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int64", "uint8", "bool")}
    | {f"torch.{name}" for name in STORAGE_TYPES}
)


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle mentions. Only text: no object stands behind it."""

    name: str


def is_module_class(name: str) -> bool:
    """Whether an object of this class is kept as a stub."""
    return name in _NAMESPACES or name.startswith(MODULE_PACKAGES)


def is_known(name: str) -> bool:
    """Whether a checkpoint may mention this name at all."""
    return is_module_class(name) or name in _DATA or name in _INERT_CALLS or name in _CALLS


def call(archive: Archive, name: str, arguments: tuple[Any, ...]) -> object:
    """What stands for the result of calling `name`. Raises ModelUnavailable for a name not in the tables."""
    if name in _CALLS:
        return _CALLS[name](archive, arguments)
    if name in _INERT_CALLS:
        return ModuleStub(name, arguments)
    if name in _NAMESPACES and not arguments:
        return ModuleStub(name)
    raise archive.refusal(f"the pickle calls {name}, which loading a model never needs")


def _empty_dict(archive: Archive, arguments: tuple[Any, ...]) -> dict[object, object]:
    # A defaultdict names its factory here; entries always come later, one by one.
    if len(arguments) > 1 or any(isinstance(item, list | tuple | dict) and item for item in arguments):
        raise archive.refusal("a dict is made from values, which torch.save never writes")
    return {}


def _counter(archive: Archive, arguments: tuple[Any, ...]) -> dict[object, object]:
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        return arguments[0]
    return _empty_dict(archive, arguments)


def _items(archive: Archive, arguments: tuple[Any, ...]) -> object:
    # Sets are kept as their list: hashing what a stranger nested can overflow the C stack, and an opcode that
    # copies a long list would, repeated, fill the memory.
    if not arguments:
        return []
    if len(arguments) != 1 or not isinstance(arguments[0], list | tuple):
        raise archive.refusal("a set is made from something that is not a list")
    return arguments[0]


def _parameter(archive: Archive, arguments: tuple[Any, ...]) -> Tensor:
    if not arguments or not isinstance(arguments[0], Tensor):
        raise archive.refusal("a parameter is made from something that is not a tensor")
    return arguments[0]


_CALLS: dict[str, Callable[[Archive, tuple[Any, ...]], object]] = {
    "collections.OrderedDict": _empty_dict,
    "collections.defaultdict": _empty_dict,
    "collections.Counter": _counter,
    "__builtin__.set": _items,
    "builtins.set": _items,
    "__builtin__.frozenset": _items,
    "builtins.frozenset": _items,
    "torch.Size": _items,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor": rebuild,
    "torch._utils._rebuild_tensor_v2": rebuild,
}
