"""Jobs and answers in MessagePack, in which the image needs no base64. Pure.

The image is of the type `bin`; base64 in a `str` is read as well. Extension types are read as data: nothing is
made of them. The format: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

import re
from typing import Any, NamedTuple

import msgpack

from redis_bridge.store.retry_records import Text
from redis_bridge.wire.encoding_contract import FRONT_BYTES, Encoding, Unreadable

MAX_LIST_ITEMS = 4096
"""Of one list or map. Room for all items is taken before the first is read, on each of up to 1,024 levels."""

MAX_ITEMS = 65_536
"""Of all lists and maps of a job together: an empty list of one byte takes 64 bytes of memory."""

MAX_ID_BYTES = 1024
"""256 characters of up to four bytes each."""


class ExtensionValue(NamedTuple):
    """A value of an extension type, which has no meaning here."""

    code: int
    content: bytes


def fields_of(payload: Text, image_field: str) -> Any:
    """The value in `payload`, as `Encoding.read` says."""
    count_items = _ItemCounter()
    try:
        return msgpack.unpackb(
            payload,
            max_array_len=MAX_LIST_ITEMS,
            max_map_len=MAX_LIST_ITEMS,
            list_hook=count_items,
            object_hook=count_items,
            ext_hook=ExtensionValue,
        )
    except ValueError as error:
        raise Unreadable(_reason(error)) from None


def _reason(error: ValueError) -> str:
    """What is wrong with a payload that the library refuses with `error`."""
    if isinstance(error, UnicodeDecodeError):
        return f"a str is not UTF-8 (byte {error.object[error.start]:#04x}); bytes must be of the type bin"
    if isinstance(error, msgpack.StackError):
        return "it is nested too deeply"
    if isinstance(error, msgpack.FormatError):
        return "it has the byte 0xc1, which MessagePack does not use"
    if isinstance(error, msgpack.ExtraData):
        return f"{len(error.extra)} bytes follow its end"
    if too_long := _TOO_LONG.fullmatch(str(error)):
        items, kind, limit = too_long.groups()
        return f"{kind} of {items} items, the limit is {limit}" if kind in _COUNTED else "it ends too early"
    if wrong_key := _WRONG_KEY.match(str(error)):
        return f"the keys of a map must be str, got {wrong_key[1]}"
    return _REASONS.get(str(error), str(error))


_TOO_LONG = re.compile(r"(\d+) exceeds max_(\w+)_len\((\d+)\)")
_WRONG_KEY = re.compile(r"(\w+) is not allowed for map key")
_COUNTED = ("array", "map")
"""Values with a limit of ours; the library refuses a str, bin or ext that is longer than the payload."""

_REASONS = {"Unpack failed: incomplete input": "it ends too early"}


class _ItemCounter:
    """Refuses a payload with too many values. Called with each list and map as it is complete."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, value: Any) -> Any:
        self._count += 1 + len(value)
        if self._count > MAX_ITEMS:
            raise ValueError(f"its lists and maps have more than {MAX_ITEMS} items")
        return value


def id_at_the_front(payload: Text) -> str | None:
    """The id, as `Encoding.id_at_the_front` says."""
    front = msgpack.Unpacker(max_str_len=MAX_ID_BYTES, max_bin_len=0, max_array_len=0, max_map_len=0, max_ext_len=0)
    front.feed(payload[:FRONT_BYTES])
    try:
        front.read_map_header()
        job_id = front.unpack() if front.unpack() == "id" else None
    except (ValueError, msgpack.OutOfData):
        return None
    return job_id if isinstance(job_id, str) else None


MSGPACK = Encoding(
    title="msgpack",
    job_type="a msgpack map",
    image_type="bytes or base64 text",
    read=fields_of,
    write=msgpack.packb,
    id_at_the_front=id_at_the_front,
)
