"""The ways in which the registry key may be written: a hash, a set, a list, or a JSON string.

The key is used as it is found; an absent one becomes a hash. A set and a list hold bare names, so our entries'
details stand in a hash of our own beside them (keys.REGISTERED).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import orjson

from redis_bridge import keys
from redis_bridge.registry.json_members import Member, members_of
from redis_bridge.wire.encoding_contract import Unreadable
from redis_bridge.wire.json_encoding import read_json

Content = dict[str, dict[str, Any] | None]
"""Queue -> entry; None where the entry is a bare name or nothing that we understand."""


class UnreadableRegistry(Exception):
    """The key holds something that is not a registry."""


class RegistryEncoding(Protocol):
    """One way. `read` is used before MULTI on a watching pipeline, `write` after it."""

    async def read(self, pipe: Any, key: str) -> Content:
        """Everything that the key lists."""
        ...

    def write(self, pipe: Any, key: str, content: Content, mine: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Queues the commands that add `mine` (name -> entry as JSON) and remove `gone`."""
        ...


class Hash:
    """Field = queue, value = entry as JSON. The default."""

    async def read(self, pipe: Any, key: str) -> Content:
        """All fields."""
        return {_text(name): _entry(value) for name, value in (await pipe.hgetall(key)).items()}

    def write(self, pipe: Any, key: str, content: Content, mine: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Sets and deletes single fields."""
        if mine:
            pipe.hset(key, mapping=dict(mine))
        for name in gone:
            pipe.hdel(key, name)


class _BareNames:
    """Bare names, with our details beside them."""

    async def read(self, pipe: Any, key: str) -> Content:
        """All names; ours with their details."""
        await pipe.watch(keys.REGISTERED)
        details = {_text(name): _entry(value) for name, value in (await pipe.hgetall(keys.REGISTERED)).items()}
        names = [_name(member) for member in await self.members(pipe, key)]
        # A name of ours that another client has removed from the list is not in it, and is added again.
        return {name: details.get(name) for name in names if name}

    def write(self, pipe: Any, key: str, content: Content, mine: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Adds and removes single names."""
        gone = list(gone)
        self.change(pipe, key, [name for name in mine if name not in content], gone)
        if mine:
            pipe.hset(keys.REGISTERED, mapping=dict(mine))
        for name in gone:
            pipe.hdel(keys.REGISTERED, name)

    async def members(self, pipe: Any, key: str) -> Iterable[bytes]:
        """The raw members."""
        raise NotImplementedError

    def change(self, pipe: Any, key: str, added: list[str], removed: list[str]) -> None:
        """Queues the commands on the key itself."""
        raise NotImplementedError


class NameSet(_BareNames):
    """A set of queue names."""

    async def members(self, pipe: Any, key: str) -> Iterable[bytes]:
        """The raw members."""
        found: Iterable[bytes] = await pipe.smembers(key)
        return found

    def change(self, pipe: Any, key: str, added: list[str], removed: list[str]) -> None:
        """Queues SADD and SREM."""
        if added:
            pipe.sadd(key, *added)
        if removed:
            pipe.srem(key, *removed)


class NameList(_BareNames):
    """A list of queue names."""

    async def members(self, pipe: Any, key: str) -> Iterable[bytes]:
        """The raw members."""
        found: Iterable[bytes] = await pipe.lrange(key, 0, -1)
        return found

    def change(self, pipe: Any, key: str, added: list[str], removed: list[str]) -> None:
        """Queues RPUSH and LREM."""
        if added:
            pipe.rpush(key, *added)
        for name in removed:
            pipe.lrem(key, 0, name)


class JsonText:
    """A string that holds a JSON object, queue -> entry. An array of names in a string is not written to."""

    def __init__(self) -> None:
        self._members: list[Member] = []

    async def read(self, pipe: Any, key: str) -> Content:
        """All members of the object."""
        text = await pipe.get(key) or b"{}"
        try:
            if not isinstance(read_json(text), dict):
                raise UnreadableRegistry("it is a JSON string, but not an object of queue and entry")
            text.decode()
            self._members = members_of(text)
        except Unreadable as error:
            raise UnreadableRegistry(f"it is a string, but not JSON: {error}") from None
        except UnicodeDecodeError:
            raise UnreadableRegistry("it is JSON, but not in UTF-8") from None
        return {member.name: _entry(member.value) for member in self._members}

    def write(self, pipe: Any, key: str, content: Content, mine: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Writes the object anew: members of others byte for byte as they were, the key's expiry kept."""
        leaving = {*gone, *mine}
        texts = [member.text for member in self._members if member.name not in leaving]
        texts += [orjson.dumps(name) + b":" + entry for name, entry in mine.items()]
        pipe.set(key, b"{" + b",".join(texts) + b"}", keepttl=True)


def encoding_of(kind: bytes) -> RegistryEncoding:
    """The encoding of a key of this Redis type. Raises UnreadableRegistry."""
    encodings: dict[bytes, type[RegistryEncoding]] = {
        b"none": Hash,
        b"hash": Hash,
        b"set": NameSet,
        b"list": NameList,
        b"string": JsonText,
    }
    if kind not in encodings:
        known = "hash, set, list or JSON string"
        raise UnreadableRegistry(f"it is of type {kind.decode()}; supported: {known}")
    return encodings[kind]()


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _entry(raw: bytes) -> dict[str, Any] | None:
    try:
        entry = read_json(raw)
    except Unreadable:
        return None
    return entry if isinstance(entry, dict) else None


def _name(member: bytes) -> str:
    """The queue that a member of a set or list names: the text itself, or `queue` or `name` of a JSON object."""
    if not member.startswith(b"{"):
        return _text(member)
    entry = _entry(member) or {}
    names = (entry.get("queue"), entry.get("name"))
    return next((name for name in names if isinstance(name, str)), "")
