"""A message is counted before protobuf reads it, as a few bytes of it can become many in memory: a number of one byte
becomes eight, an empty tensor of two bytes a hundred. Pure.

Source: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deployments.errors import InvalidRequest

MAX_FIELDS = 2**12
"""Of a message, its tensors and their contents. A list of numbers is one field, each element of BYTES another."""

MAX_NUMBER_BYTES = 2**23
"""Numbers in lists: room for 2 million of FP32, as many as in JSON."""

MAX_OTHER_BYTES = 2**18
"""All but the content of tensors: names, shapes and parameters."""

_BITS = 7
_MAX_VARINT_BITS = 70
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT, _LENGTH = 0, 2


@dataclass(frozen=True, slots=True)
class _Level:
    """A message. below: field -> the message in it, which is counted too. content: fields of bytes that stay as they
    are. numbers: fields that are lists of numbers."""

    below: Mapping[int, "_Level"] = field(default_factory=dict)
    content: frozenset[int] = frozenset()
    numbers: frozenset[int] = frozenset()


_CONTENTS = _Level(content=frozenset({8}), numbers=frozenset(range(1, 8)))
_INPUT = _Level(below={5: _CONTENTS})
_INFER_REQUEST = _Level(below={5: _INPUT}, content=frozenset({7}))


def check_infer_request(message: bytes) -> None:
    """Raises InvalidRequest where a ModelInferRequest has more of something than it may, or is none."""
    _Count().walk(memoryview(message), _INFER_REQUEST)


def check_small(message: bytes) -> None:
    """Raises InvalidRequest for any other message that is larger than it has a reason to be."""
    if len(message) > MAX_OTHER_BYTES:
        raise InvalidRequest(f"the message has {len(message)} bytes, the limit is {MAX_OTHER_BYTES}")


@dataclass(slots=True)
class _Count:
    fields: int = 0
    number_bytes: int = 0
    other_bytes: int = 0

    def walk(self, message: memoryview, level: _Level) -> None:
        for number, content in _fields(message):
            self.fields += 1
            if number in level.below:
                self.walk(content, level.below[number])
            elif number in level.numbers:
                self.number_bytes += len(content)
            elif number not in level.content:
                self.other_bytes += len(content)
            self._check()

    def _check(self) -> None:
        for what, count, limit in (
            ("fields", self.fields, MAX_FIELDS),
            ("bytes of numbers in lists", self.number_bytes, MAX_NUMBER_BYTES),
            ("bytes beside its tensors", self.other_bytes, MAX_OTHER_BYTES),
        ):
            if count > limit:
                raise InvalidRequest(
                    f"the message has more than {limit} {what}, the limit; send tensors as raw_input_contents"
                )


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The number of each field, and its content."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, begins = tag & 7, at
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _LENGTH:
            length, begins = _varint(message, at)
            at = begins + length
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        else:
            raise _no_message()
        if at > len(message):
            raise _no_message()
        yield tag >> 3, message[begins:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    value = 0
    for shift in range(0, _MAX_VARINT_BITS, _BITS):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _no_message()


def _no_message() -> InvalidRequest:
    return InvalidRequest("the message is not a ModelInferRequest, or is cut off")
