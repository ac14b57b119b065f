"""The first directory of tags of a TIFF or BigTIFF file, or of EXIF data (TIFF 6.0, section 2). Reads no pixels."""

import struct
from dataclasses import dataclass
from typing import Self

from deployments.image_formats.header import damaged

ORIENTATION = 274
MAX_TAGS = 4096

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry. entry: its bytes as they stand.  value: its values, in the entry or elsewhere in the file."""

    kind: int
    count: int
    entry: memoryview
    value: memoryview


@dataclass(frozen=True, slots=True)
class Directory:
    """order: '<' or '>' as for struct.  is_big: BigTIFF.  start, end: where it lies in the file."""

    order: str
    is_big: bool
    tags: dict[int, Tag]
    start: int
    end: int

    @classmethod
    def first_of(cls, data: memoryview) -> Self:
        """Raises InvalidImage where there is none."""
        order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
        try:
            (version,) = struct.unpack_from(f"{order}H", data, 2)
            if not order or version not in (42, 43):
                raise damaged("it has no directory of tags")
            is_big = version == 43
            (at,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", data, 8 if is_big else 4)
            return cls(order, is_big, *_tags(data, at, order, is_big))
        except (struct.error, OverflowError, ValueError):
            raise damaged("its directory of tags is not where it should be") from None

    def number(self, code: int, otherwise: int) -> int:
        """The first value of a tag of whole numbers; `otherwise` where it is missing."""
        numbers = self.numbers(code, 1)
        return numbers[0] if numbers else otherwise

    def numbers(self, code: int, at_most: int) -> tuple[int, ...]:
        """The first values of a tag of whole numbers; () where it is missing."""
        tag = self.tags.get(code)
        form = _WHOLE.get(tag.kind) if tag is not None else None
        if tag is None or form is None:
            return ()
        count = min(tag.count, at_most, len(tag.value) // _TYPE_BYTES[tag.kind])
        return struct.unpack_from(f"{self.order}{count}{form}", tag.value)


def _tags(data: memoryview, start: int, order: str, is_big: bool) -> tuple[dict[int, Tag], int, int]:
    count_form, entry_form, entry_bytes = ("Q", "HHQ", 20) if is_big else ("H", "HHI", 12)
    inline_bytes = 8 if is_big else 4
    (count,) = struct.unpack_from(f"{order}{count_form}", data, start)
    at = start + struct.calcsize(f"={count_form}")
    if count > MAX_TAGS or at + count * entry_bytes > len(data):
        raise damaged(f"its directory has {count} tags, more than {MAX_TAGS} or than there is room for")
    tags: dict[int, Tag] = {}
    end = at + count * entry_bytes
    for place in range(at, end, entry_bytes):
        code, kind, values = struct.unpack_from(f"{order}{entry_form}", data, place)
        entry = data[place : place + entry_bytes]
        size_bytes = _TYPE_BYTES.get(kind, 1) * values
        value = entry[-inline_bytes:]
        if size_bytes > inline_bytes:
            (offset,) = struct.unpack(f"{order}{'Q' if is_big else 'I'}", value)
            value = data[offset : offset + size_bytes]
        tags.setdefault(code, Tag(kind, values, entry, value))
    return tags, start, min(end + inline_bytes, len(data))
