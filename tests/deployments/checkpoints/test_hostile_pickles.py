"""Pickles that mean harm: each is refused with its reason, and nothing in it is executed.

The ones that call something would create a marker file if they were unpickled; one test proves that they would,
so that the absence of the marker means something.
"""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.checkpoints import open_checkpoint
from deployments.errors import ModelUnavailable
from tests.deployments.checkpoints.checkpoint_writer import (
    PROTOCOL,
    Weights,
    call,
    group,
    instance,
    integer_bytes,
    mapping,
    name,
    plain,
    storage,
    write,
)
from tests.deployments.checkpoints.refusals import refused

SEQUENTIAL = "torch.nn.modules.container.Sequential"
CONV = name("models.common", "Conv")


def _short_binunicode(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


PROGRAMS: dict[str, tuple[Callable[[str], bytes], str]] = {
    "os.system": (lambda sh: call("os", "system", plain(sh)), r"names os\.system"),
    "posix.system": (lambda sh: call("posix", "system", plain(sh)), r"names posix\.system"),
    "eval": (
        lambda sh: call("builtins", "eval", plain(f"__import__('os').system({sh!r})")),
        r"names builtins\.eval",
    ),
    "eval of Python 2": (
        lambda sh: call("__builtin__", "eval", plain(f"__import__('os').system({sh!r})")),
        r"names __builtin__\.eval",
    ),
    "INST": (lambda sh: b"(" + plain(sh) + b"ios\nsystem\n", r"opcode INST \('os system'\)"),
    "OBJ": (lambda sh: b"(" + name("subprocess", "getoutput") + plain(sh) + b"o", r"names subprocess\.getoutput"),
    "NEWOBJ": (
        lambda sh: name("subprocess", "Popen") + group(plain(sh)) + b"\x81",
        r"names subprocess\.Popen",
    ),
    "NEWOBJ_EX": (
        lambda sh: name("subprocess", "Popen") + group(plain(sh)) + plain({"stub": True}) + b"\x92",
        r"names subprocess\.Popen",
    ),
    "STACK_GLOBAL": (
        lambda sh: _short_binunicode("os") + _short_binunicode("system") + b"\x93" + group(plain(sh)) + b"R",
        r"names os\.system",
    ),
    "through an allowed module": (
        lambda sh: b"\x80\x04" + plain("models.common") + plain("os.system") + b"\x93" + group(plain(sh)) + b"R",
        r"names models\.common\.os\.system",
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_pickle_that_would_run_a_program_runs_nothing(tmp_path: Path, case: str) -> None:
    marker = tmp_path / "executed"
    program, reason = PROGRAMS[case]
    refused(write(tmp_path / "evil.pt", program(f"touch {marker}")), reason)
    assert not marker.exists()


def test_the_marker_appears_when_python_unpickles_such_a_file(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    pickle.loads(PROTOCOL + call("os", "system", plain(f"touch {marker}")) + b".")
    assert marker.exists()


PICKLES: dict[str, tuple[bytes, str]] = {
    "a call of a class": (CONV + group() + b"R", r"calls models\.common\.Conv"),
    "a call of settings with values": (
        call("ultralytics.utils", "IterableSimpleNamespace", plain(1)),
        r"calls ultralytics\.utils\.IterableSimpleNamespace",
    ),
    "a call of what a call gave": (
        call("dill._dill", "_load_type", plain("CodeType")) + group() + b"R",
        r"calls dill\._dill\._load_type",
    ),
    "a call of a storage type": (call("torch", "FloatStorage", plain(9)), r"calls torch\.FloatStorage"),
    "a call without a tuple": (name("torch", "Size") + plain(3) + b"R", "with no tuple of arguments"),
    "torch loading from bytes": (
        call("torch.storage", "_load_from_bytes", plain(b"x")),
        r"names torch\.storage\._load_from_bytes",
    ),
    "an object of a function": (name("torch._utils", "_rebuild_parameter") + b")\x81", "expected a layer"),
    "the state of a class": (CONV + plain({"forward": 1}) + b"b", r"sets the state of models\.common\.Conv"),
    "the state of a function": (
        name("torch", "Size") + b"(N" + plain({"__defaults__": [1]}) + b"tb",
        r"sets the state of torch\.Size",
    ),
    "a state that is no dict": (CONV + b")\x81" + group(plain(1), plain(2)) + b"b", "not a dict of at most"),
    "a state with __setstate__": (
        instance("models.common.Conv", plain({"__setstate__": "x", 3: 4})),
        "not a dict of at most",
    ),
    "a persistent id of text": (plain("storage") + b"Q", r"persistent id is not \('storage'"),
    "a persistent id of another kind": (group(*[plain("module")] * 5) + b"Q", r"persistent id is not \('storage'"),
    "a storage of an unknown type": (storage("0", "Size", 1), r"type torch\.Size, expected one of"),
    "a storage key that is no text": (
        group(plain("storage"), name("torch", "FloatStorage"), plain(1), plain("cpu"), plain(1)) + b"Q",
        "key of a storage is not a string",
    ),
    "a text persistent id": (b"Pstorage\n", r"opcode PERSID \('storage'\)"),
    "the extension registry": (b"\x82\x01", "opcode EXT1"),
    "a buffer from outside": (b"\x97", "opcode NEXT_BUFFER"),
    "a memo that was never filled": (b"h\x07", "object 7, which it never stored"),
    "a stack that is empty": (b"0", "takes more from its stack"),
    "a mark that was never set": (b"t", "closes a mark"),
    "a memo of nothing": (b"q\x00", "takes more from its stack"),
    "a class named by a number": (plain(1) + plain(2) + b"\x93", "not a string"),
    "an object made without a tuple": (CONV + b"N\x81", r"makes models\.common\.Conv with no tuple"),
    "a dict made from values": (call("collections", "OrderedDict", plain([["a", 1]])), "a dict is made from values"),
    "an append to a dict": (b"}Na", "appends to a dict, expected a list"),
    "an item set in a list": (b"]NNs", "sets items of a list, expected a dict"),
    "a key without a value": (b"}(Nu", "a key without a value"),
    "two objects": (b"NN", "ends with 2 objects"),
    "a huge integer": (b"\x8b" + integer_bytes(1000) + b"\x7f" * 1000, "an integer of 7999 bits"),
    "text that ends too early": (b"X" + integer_bytes(1000) + b"abc", "damaged"),
    "an unknown opcode": (b"\xff", "damaged"),
    "a protocol of the future": (b"\x80\x09N", "pickle protocol 9"),
    "a set of a number": (call("builtins", "set", plain(7)), "not a list"),
    "a parameter of a number": (call("torch._utils", "_rebuild_parameter", plain(7)), "not a tensor"),
    "a tensor of a number": (
        call("torch._utils", "_rebuild_tensor_v2", *[plain(1)] * 4),
        "something that is not a storage",
    ),
    "a tensor of too little": (call("torch._utils", "_rebuild_tensor_v2"), "rebuilt from 0 values"),
}


@pytest.mark.parametrize("case", PICKLES)
def test_an_unsound_pickle_is_refused(tmp_path: Path, case: str) -> None:
    body, reason = PICKLES[case]
    refused(write(tmp_path / "evil.pt", body), reason)


def test_a_memo_index_of_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    body = mapping({"model": Weights().module(SEQUENTIAL) + b"r\xff\xff\xff\xff"})
    with open_checkpoint(write(tmp_path / "odd.pt", body)) as checkpoint:
        assert checkpoint.network().kind == SEQUENTIAL


def test_a_deeply_nested_key_does_not_overflow_the_c_stack(tmp_path: Path) -> None:
    body = b"})" + b"\x85" * 1_000_00 + b"Ns"
    refused(write(tmp_path / "evil.pt", body), "a dict has a tuple as a key")


def test_an_object_that_holds_itself_is_described_without_walking_it(tmp_path: Path) -> None:
    body = mapping({"model": b"]q\x00(" + b"h\x00" * 100 + b"e"})
    with (
        open_checkpoint(write(tmp_path / "evil.pt", body)) as checkpoint,
        pytest.raises(ModelUnavailable, match="its 'model' is a list"),
    ):
        checkpoint.network()


def test_repeated_copies_of_a_long_list_take_no_memory(tmp_path: Path) -> None:
    long_list = b"](" + b"N" * 200_000 + b"eq\x00"
    sets = (name("builtins", "set") + b"h\x00\x85R") * 20_000
    body = b"(" + long_list + sets + b"l"
    refused(write(tmp_path / "evil.pt", body), "opcode LIST")


# All that torch.save has ever written, and nothing that reaches further.
KNOWN_OPCODES = frozenset(
    {"PROTO", "FRAME", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4"}
    | {"BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
    | {"MARK", "POP", "POP_MARK", "DUP", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"}
    | {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "APPEND", "APPENDS", "ADDITEMS", "SETITEM"}
    | {"SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"}
)
ARGUMENTS = {"STRING": b"'x'\n", "LONG": b"1L\n", "INST": b"os\nsystem\n"}


@pytest.mark.parametrize(
    "opcode", [op for op in pickletools.opcodes if op.name not in KNOWN_OPCODES], ids=lambda op: op.name
)
def test_every_other_opcode_is_refused_by_name(tmp_path: Path, opcode: pickletools.OpcodeInfo) -> None:
    argument = ARGUMENTS.get(opcode.name, b"1\n\0\0" if opcode.name != "BYTEARRAY8" else bytes(8))
    body = opcode.code.encode("latin-1") + (argument if opcode.arg else b"")
    refused(write(tmp_path / "evil.pt", body), f"opcode {opcode.name}")


@pytest.mark.parametrize(
    ("body", "opcode"),
    [
        (b"(imodels.common\nConv\n", "INST"),
        (b"(" + CONV + b"o", "OBJ"),
        (CONV + b")}\x92", "NEWOBJ_EX"),
    ],
)
def test_objects_are_made_in_one_way_only(tmp_path: Path, body: bytes, opcode: str) -> None:
    refused(write(tmp_path / "evil.pt", body), f"opcode {opcode}")
