"""A JSON object taken apart without reading its values, so that each can be put back as it was written. Pure.

A value that was read and written again is another one: large integers become floats, deep ones cannot be written.
"""

import re
from typing import NamedTuple

from redis_bridge.wire.json_encoding import read_json

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)


class Member(NamedTuple):
    """One member. text: name and value as they stand in the object."""

    name: str
    value: bytes
    text: bytes


def members_of(text: bytes) -> list[Member]:
    """The members of the object in `text`, which is valid JSON; a name may be there twice."""
    members: list[Member] = []
    depth = 0
    name: re.Match[bytes] | None = None
    value_at: int | None = None
    for token in _TOKEN.finditer(text):
        mark = token[0][:1]
        if mark == b'"':
            name = token if depth == 1 and value_at is None else name
        elif mark == b":":
            value_at = token.end() if depth == 1 else value_at
        elif mark in b"{[":
            depth += 1
        else:
            depth -= mark != b","
            if (depth == 0 or (depth == 1 and mark == b",")) and name is not None and value_at is not None:
                value = text[value_at : token.start()].strip()
                members.append(Member(read_json(name[0]), value, name[0] + b":" + value))
                name = value_at = None
    return members
