"""Archives that mean harm, are damaged, or are no checkpoint: each is refused with its reason."""

import pickle
import struct
import zipfile
from copy import copy
from pathlib import Path

import pytest

from deployments.checkpoints.archive import MAX_ENTRIES
from tests.deployments.checkpoints.checkpoint_writer import PROTOCOL, mapping, plain, write
from tests.deployments.checkpoints.refusals import refused

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
        (b"\x89HDF\r\n\x1a\n", "not a PyTorch checkpoint: it is an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
        (b"", "starts with b''"),
        (b"PK\x03\x04", "cut short"),
    ],
)
def test_files_of_another_kind_are_told_apart(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    refused(path, reason)
