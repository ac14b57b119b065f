"""Files that mean harm: each is refused with its reason, and nothing in it is executed.

The ones that call something would create a marker file if they were unpickled; one test proves that they would,
so that the absence of the marker means something.
"""

import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from copy import copy
from pathlib import Path

import pytest

from deployments.checkpoints import open_checkpoint
from deployments.checkpoints.archive import MAX_ENTRIES
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
    view,
    write,
)

SEQUENTIAL = "torch.nn.modules.container.Sequential"
CONV = name("models.common", "Conv")


def refused(path: Path, reason: str) -> None:
    """The file is refused for `reason`, by a message that names the file."""
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        open_checkpoint(path)
    assert path.name in caught.value.message


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
    "a persistent id of text": (plain("storage") + b"Q", "persistent id is no"),
    "a persistent id of another kind": (group(*[plain("module")] * 5) + b"Q", "persistent id is no"),
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


TENSORS: dict[str, tuple[tuple[int, tuple[int, ...], tuple[int, ...]], str]] = {
    "a negative stride": ((3, (4,), (-1,)), "negative offset, size or stride"),
    "a negative offset": ((-1, (4,), (1,)), "negative offset, size or stride"),
    "a negative size": ((0, (-4,), (1,)), "negative offset, size or stride"),
    "an offset outside": ((4, (1,), (1,)), "reaches element 4 of a storage of 4"),
    "an offset far outside": ((2**62, (1,), (1,)), "reaches element"),
    "a size beyond the end": ((1, (4,), (1,)), "reaches element 4 of a storage of 4"),
    "a stride beyond the end": ((0, (2,), (9,)), "reaches element 9"),
    "an overflow of the element count": ((0, (2**32, 2**32), (0, 0)), "has more than"),
    "an overlap of gigabytes": ((0, (2**31, 4), (0, 1)), "has more than"),
    "another number of strides": ((0, (2, 2), (1,)), "2 sizes and 1 strides"),
    "nine dimensions": ((0, (1,) * 9, (1,) * 9), "not up to 8 integers"),
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path: Path, case: str) -> None:
    (offset, shape, strides), reason = TENSORS[case]
    body = view(storage("0", "FloatStorage", 4), offset, shape, strides)
    refused(write(tmp_path / "evil.pt", body, {"0": bytes(16)}), reason)


def test_sizes_that_are_no_integers_are_refused(tmp_path: Path) -> None:
    source = storage("0", "FloatStorage", 4)
    body = call("torch._utils", "_rebuild_tensor_v2", source, plain(0), plain((2.0,)), plain((1,)))
    refused(write(tmp_path / "evil.pt", body, {"0": bytes(16)}), "not up to 8 integers")


@pytest.mark.parametrize(("numel", "reason"), [(5, "16 bytes, the pickle says 20"), (-4, "has -4 elements")])
def test_a_storage_of_another_size_is_refused(tmp_path: Path, numel: int, reason: str) -> None:
    refused(write(tmp_path / "evil.pt", storage("0", "FloatStorage", numel), {"0": bytes(16)}), reason)


@pytest.mark.parametrize("key", ["1", "../data.pkl", "0/../0"])
def test_a_storage_that_is_not_there_is_refused(tmp_path: Path, key: str) -> None:
    refused(write(tmp_path / "evil.pt", storage(key, "FloatStorage", 4), {"0": bytes(16)}), "does not hold")


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


ENTRIES: dict[str, tuple[list[str], str]] = {
    "path traversal": (["archive/data.pkl", "archive/../../etc/passwd"], "not of the form"),
    "an absolute path": (["archive/data.pkl", "/etc/passwd"], "not of the form"),
    "a backslash": (["archive/data.pkl", "archive\\..\\x"], "not of the form"),
    "no root folder": (["data.pkl"], "not of the form"),
    "two root folders": (["archive/data.pkl", "other/version"], "2 root folders"),
    "the same entry twice": (["archive/data.pkl", "archive/data.pkl"], "two entries are named 'data.pkl'"),
    "no pickle": (["archive/version"], "holds no data.pkl"),
    "TorchScript": (["archive/data.pkl", "archive/code/__torch__.py"], "a TorchScript archive"),
    "TorchScript constants": (["archive/data.pkl", "archive/constants.pkl"], "a TorchScript archive"),
}


@pytest.mark.parametrize("case", ENTRIES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_unsound_archive_is_refused(tmp_path: Path, case: str) -> None:
    names, reason = ENTRIES[case]
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as file:
        for entry in names:
            file.writestr(entry, PROTOCOL + b"N.")
    refused(path, reason)


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", PROTOCOL + b"N" * 30_000_000 + b".")
    assert path.stat().st_size < 100_000
    refused(path, "is compressed; torch.save stores")


def _patched(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def test_an_entry_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    body = plain("x" * 3000)
    path = write(tmp_path / "evil.pt", body)
    size = len(PROTOCOL + body + b".")
    claimed = struct.pack("<II", size, 2**31 - 1)
    refused(_patched(path, struct.pack("<II", size, size), claimed), "claims 2147483647 bytes, holds")


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    """The trick of the densest zip bombs: many entries of the directory share the same bytes."""
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", PROTOCOL + plain("x" * 100_000) + b".")
        for index in range(20):
            twin = copy(file.filelist[0])
            twin.filename = twin.orig_filename = f"archive/data/{index}"
            file.filelist.append(twin)
    refused(path, "overlap in a file of")


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", PROTOCOL + b"N.")
        file.filelist[0].flag_bits |= 1
    refused(path, "is encrypted")


def test_flipped_bits_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pt", mapping({"model": plain("x" * 100)}))
    refused(_patched(path, b"x" * 100, b"y" * 100), "is damaged: Bad CRC")


def test_too_many_entries_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pt", plain(None))
    content = bytearray(path.read_bytes())
    directory_bytes, offset = struct.unpack("<LL", content[-10:-2])
    wide = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, MAX_ENTRIES + 1, MAX_ENTRIES + 1, directory_bytes, offset
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
    path.write_bytes(content[:-22] + wide + locator + content[-22:])
    refused(path, f"{MAX_ENTRIES + 1} entries in a directory")


def test_a_directory_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pt", plain(None))
    path.write_bytes(path.read_bytes()[:-5])
    refused(path, "cut short")


def test_a_pickle_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.pt", b"N0" * (4 * 2**20 + 1))
    refused(path, "data.pkl has .* bytes, the limit is")


def test_big_endian_numbers_are_refused(tmp_path: Path) -> None:
    refused(write(tmp_path / "evil.pt", plain(None), byteorder=b"big"), "not little-endian")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + b"more", "format from before version 1.6"),
        (pickle.dumps({"model": 1}), "not a PyTorch checkpoint: starts with"),
        (b"\x89HDF\r\n\x1a\n", "not a PyTorch checkpoint: starts with b'.x89HDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "starts with b'version "),
        (b"", "starts with b''"),
        (b"PK\x03\x04", "cut short"),
    ],
)
def test_files_of_another_kind_are_told_apart(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    refused(path, reason)


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
