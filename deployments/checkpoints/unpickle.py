"""A pickle reader that can run nothing: there is no callable in it for a file to reach.

Python's own `pickle.Unpickler` with a `find_class` of one's own is not enough against a hostile file: BUILD
sets attributes of whatever is on the stack, the extension registry goes past `find_class`, and one opcode can
ask for gigabytes. Of the packages, `picklescan` and `modelscan` look for known bad names and then let torch
load the file; `fickling` decompiles pickles for analysts. So the standard library's tokenizer (`pickletools`)
reads the opcodes, and this stack machine of the few that `torch.save` writes builds plain data from them:
dicts, lists, tuples, tensors and stubs. All other opcodes and all other names are refused, by name.
"""

import pickletools
from collections.abc import Callable
from typing import Any

from deployments.checkpoints import allowed_globals
from deployments.checkpoints.allowed_globals import Global
from deployments.checkpoints.archive import Archive
from deployments.checkpoints.file_kinds import about_foreign_class, not_of_a_model
from deployments.checkpoints.module_stub import ModuleStub, describe
from deployments.checkpoints.tensors import STORAGE_TYPES, Storage

_HIGHEST_PROTOCOL = 5
_MAX_INT_BITS = 64
_MAX_NAME_CHARACTERS = 200
_MAX_ATTRIBUTES = 1000
_PUSHES_ARGUMENT = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"}
    | {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING"}
)
_PUSHES: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}


def unpickle(archive: Archive) -> object:
    """The object tree of `archive`. Raises ModelUnavailable for anything that a checkpoint does not need."""
    machine = _Machine(archive)
    try:
        for opcode, argument, position in pickletools.genops(archive.pickle_bytes()):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument, position or 0)
    except (ValueError, EOFError, IndexError, OverflowError) as error:
        raise archive.refusal(f"the pickle is damaged: {str(error)[:200]}") from error
    raise archive.refusal("the pickle has no end")


class _Machine:
    """The stack, the marks in it and the memo. Each `_op_*` is one opcode, or several of a kind."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = {
            "PROTO": self._op_proto,
            "FRAME": lambda _: None,
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "POP": self._op_pop,
            "POP_MARK": lambda _: self._pop_to_mark().clear(),
            "DUP": lambda _: self._stack.append(self._top()),
            "BINPUT": self._op_put,
            "LONG_BINPUT": self._op_put,
            "MEMOIZE": lambda _: self._op_put(len(self._memo)),
            "BINGET": self._op_get,
            "LONG_BINGET": self._op_get,
            "TUPLE": lambda _: self._stack.append(tuple(self._pop_to_mark())),
            "FROZENSET": lambda _: self._stack.append(self._pop_to_mark()),
            "TUPLE1": lambda _: self._stack.append(self._pop_many(1)),
            "TUPLE2": lambda _: self._stack.append(self._pop_many(2)),
            "TUPLE3": lambda _: self._stack.append(self._pop_many(3)),
            "APPEND": lambda _: self._extend(list(self._pop_many(1))),
            "APPENDS": lambda _: self._extend(self._pop_to_mark()),
            "ADDITEMS": lambda _: self._extend(self._pop_to_mark()),
            "SETITEM": lambda _: self._set_items(list(self._pop_many(2))),
            "SETITEMS": lambda _: self._set_items(self._pop_to_mark()),
            "GLOBAL": lambda text: self._push_global(*text.partition(" ")[::2]),
            "STACK_GLOBAL": lambda _: self._push_global(*self._pop_many(2)),
            "REDUCE": self._op_reduce,
            "NEWOBJ": self._op_newobj,
            "BUILD": self._op_build,
            "BINPERSID": self._op_persistent_id,
        }

    def step(self, name: str, argument: Any, position: int) -> None:
        """Do one opcode."""
        if name in _PUSHES_ARGUMENT:
            if type(argument) is int and argument.bit_length() > _MAX_INT_BITS:
                raise self._archive.refusal(f"the pickle holds an integer of {argument.bit_length()} bits")
            self._stack.append(argument)
        elif name in _PUSHES:
            self._stack.append(_PUSHES[name]())
        elif name in self._actions:
            self._actions[name](argument)
        else:
            found = f"{name} ({argument[:80]!r})" if isinstance(argument, str) else name
            raise self._archive.refusal(
                f"the pickle uses the opcode {found} at byte {position}, which torch.save never writes"
            )

    def result(self) -> object:
        """What is left at the end: exactly one object."""
        if len(self._stack) != 1 or self._marks:
            raise self._archive.refusal(f"the pickle ends with {len(self._stack)} objects, expected one")
        return self._stack[0]

    def _floor(self) -> int:
        return self._marks[-1] if self._marks else 0

    def _top(self) -> Any:
        if len(self._stack) <= self._floor():
            raise self._archive.refusal("the pickle takes more from its stack than it put there")
        return self._stack[-1]

    def _pop_many(self, count: int) -> tuple[Any, ...]:
        start = len(self._stack) - count
        if start < self._floor():
            raise self._archive.refusal("the pickle takes more from its stack than it put there")
        items = tuple(self._stack[start:])
        del self._stack[start:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise self._archive.refusal("the pickle closes a mark that it never set")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _op_proto(self, version: int) -> None:
        if version > _HIGHEST_PROTOCOL:
            raise self._archive.refusal(f"pickle protocol {version}, the highest known is {_HIGHEST_PROTOCOL}")

    def _op_pop(self, _: object) -> None:
        # As in Python's own unpickler, POP also takes a mark away when nothing lies above it.
        if self._marks and len(self._stack) == self._marks[-1]:
            self._marks.pop()
        else:
            self._pop_many(1)

    def _op_put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _op_get(self, index: int) -> None:
        if index not in self._memo:
            raise self._archive.refusal(f"the pickle refers to object {index}, which it never stored")
        self._stack.append(self._memo[index])

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise self._archive.refusal(f"the pickle appends to {_described(target)}, expected a list")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict:
            raise self._archive.refusal(f"the pickle sets items of {_described(target)}, expected a dict")
        if len(items) % 2:
            raise self._archive.refusal("the pickle sets a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a deeply nested tuple overflows the C stack, so only plain keys are taken.
            if key is not None and type(key) not in (str, int, float, bool):
                raise self._archive.refusal(f"a dict has {_described(key)} as a key, expected text or a number")
            target[key] = value

    def _push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self._archive.refusal("the pickle names a class by something that is not a string")
        full = f"{module}.{name}"
        if len(full) > _MAX_NAME_CHARACTERS or "." in name or not allowed_globals.is_known(full):
            # Nothing but an attack reaches through a module into another one.
            told = not_of_a_model(full[:120]) if "." in name else about_foreign_class(full[:120])
            raise self._archive.refusal(told)
        self._stack.append(Global(full))

    def _op_reduce(self, _: object) -> None:
        function, arguments = self._pop_many(2)
        if not isinstance(function, Global):
            raise self._archive.refusal(f"the pickle calls {_described(function)}, expected a name")
        if type(arguments) is not tuple:
            raise self._archive.refusal(f"the pickle calls {function.name} with no tuple of arguments")
        self._stack.append(allowed_globals.call(self._archive, function.name, arguments))

    def _op_newobj(self, _: object) -> None:
        kind, arguments = self._pop_many(2)
        if not isinstance(kind, Global) or not allowed_globals.is_module_class(kind.name):
            raise self._archive.refusal(f"the pickle makes an object of {_described(kind)}, expected a layer")
        if type(arguments) is not tuple:
            raise self._archive.refusal(f"the pickle makes {kind.name} with no tuple of arguments")
        self._stack.append(ModuleStub(kind.name, arguments))

    def _op_build(self, _: object) -> None:
        (state,) = self._pop_many(1)
        target = self._top()
        # A state_dict is a dict with attributes (`_metadata`), NumPy's objects have a tuple: not needed.
        if type(target) is dict or (
            isinstance(target, ModuleStub) and not allowed_globals.is_module_class(target.kind)
        ):
            return
        if not isinstance(target, ModuleStub):
            raise self._archive.refusal(f"the pickle sets the state of {_described(target)}")
        # Counted before looking at each: the same huge dict may be the state of a million objects.
        short = type(state) is dict and len(state) <= _MAX_ATTRIBUTES
        if not short or not all(type(key) is str for key in state):
            raise self._archive.refusal(
                f"the state of {target.kind} is not a dict of at most {_MAX_ATTRIBUTES} named attributes"
            )
        target.state = state

    def _op_persistent_id(self, _: object) -> None:
        (value,) = self._pop_many(1)
        if type(value) is not tuple or len(value) != 5 or value[0] != "storage":
            raise self._archive.refusal("a persistent id is not ('storage', type, key, location, size)")
        _, kind, key, _, numel = value
        name = kind.name.removeprefix("torch.") if isinstance(kind, Global) else ""
        if name not in STORAGE_TYPES:
            raise self._archive.refusal(
                f"a storage has the type {_described(kind)}, expected one of {[*STORAGE_TYPES]}"
            )
        if type(key) is not str or type(numel) is not int:
            raise self._archive.refusal("the key of a storage is not a string, or its size not an integer")
        self._stack.append(Storage(self._archive, key, STORAGE_TYPES[name], numel))


def _described(value: object) -> str:
    return value.name if isinstance(value, Global) else describe(value)
