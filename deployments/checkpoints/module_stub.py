"""What is left of a pickled object when none of its code may run: the name of its class, and its attributes.

It finds children and weights where PyTorch modules keep them.
"""

from collections.abc import Mapping
from typing import Any

from deployments.checkpoints.tensors import Tensor
from deployments.errors import ModelUnavailable


def describe(value: object) -> str:
    """`value` for a message. Of a container only its type: it may hold itself, or a million things."""
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value)[:60]
    return value.kind if isinstance(value, ModuleStub) else f"a {type(value).__name__}"


class ModuleStub:
    """An inert object."""

    __slots__ = ("arguments", "kind", "state")

    def __init__(self, kind: str, arguments: tuple[Any, ...] = ()) -> None:
        self.kind = kind
        """Full name of the class, such as 'models.common.Conv'."""
        self.arguments = arguments
        """What the class was called with."""
        self.state: Mapping[str, Any] = {}
        """The attributes."""

    # The default would print the whole tree below, which may be deep, shared and even cyclic.
    def __repr__(self) -> str:
        return f"<stub of {self.kind}>"

    @property
    def class_name(self) -> str:
        """The last part of `kind`: the flat module paths of older releases have the same class names."""
        return self.kind.rpartition(".")[2]

    @property
    def children(self) -> Mapping[str, "ModuleStub"]:
        """Child modules in their order. Raises ModelUnavailable when they are something else."""
        modules = self.state.get("_modules", {})
        if not isinstance(modules, dict):
            raise ModelUnavailable(f"the children of {self.kind} are a {type(modules).__name__}, expected a dict")
        found = {name: child for name, child in modules.items() if child is not None}
        for name, child in found.items():
            if not isinstance(name, str) or not isinstance(child, ModuleStub):
                raise ModelUnavailable(f"child {name!r} of {self.kind} is not a module")
        return found

    def child(self, name: str) -> "ModuleStub":
        """The child module `name`. Raises ModelUnavailable when there is none."""
        child = self.children.get(name)
        if child is None:
            raise ModelUnavailable(f"{self.kind} has no child {name!r}; it has {sorted(self.children)[:20]}")
        return child

    def find_tensor(self, name: str) -> Tensor | None:
        """The parameter, buffer or plain attribute `name`; None where it is absent or None."""
        for place in (self.state.get("_parameters"), self.state.get("_buffers"), self.state):
            value = place.get(name) if isinstance(place, Mapping) else None
            if isinstance(value, Tensor):
                return value
        return None

    def tensor(self, name: str) -> Tensor:
        """The same, where it must be there. Raises ModelUnavailable otherwise."""
        tensor = self.find_tensor(name)
        if tensor is None:
            raise ModelUnavailable(f"{self.kind} has no tensor {name!r}")
        return tensor

    def integer(self, name: str, default: int | None = None) -> int:
        """The attribute `name`, a true integer. Raises ModelUnavailable otherwise."""
        value = self.state.get(name, default)
        if type(value) is not int:
            raise ModelUnavailable(f"attribute {name!r} of {self.kind} is {describe(value)}, expected an integer")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """The attribute `name`, an integer or float. Raises ModelUnavailable otherwise."""
        value = self.state.get(name, default)
        if type(value) not in (int, float):
            raise ModelUnavailable(f"attribute {name!r} of {self.kind} is {describe(value)}, expected a number")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """The attribute `name`, a bool. Raises ModelUnavailable otherwise."""
        value = self.state.get(name, default)
        if type(value) is not bool:
            raise ModelUnavailable(f"attribute {name!r} of {self.kind} is {describe(value)}, expected true or false")
        return value
