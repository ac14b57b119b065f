"""What a file of keys says: TOML with one table `[[key]]` for each.

A file holds SHA-256 digests, no keys. A key has 256 random bits, so nobody finds it from its digest by trying, and a
slow hash, as passwords need, would only cost time at each request.
"""

import hashlib
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from deployments.definition import Settings
from deployments.text.nearest_name import nearest_of

MAX_FILE_BYTES = 256 * 2**10
MAX_KEYS = 1000
PREFIX = "fathom_"
"""Of a key that is made here, by which people and scanners for secrets know what it is."""

MAX_KEY_CHARACTERS = 256
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Scope(StrEnum):
    """What a key may ask for."""

    PREDICT = "predict"
    """Predictions, and the list of models."""

    METRICS = "metrics"

    ADMIN = "admin"
    """Everything, that of the other scopes included."""


class Key(Settings):
    """One table of the file."""

    name: Annotated[str, StringConstraints(pattern=NAME)]
    """Whose key it is; it appears in logs."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the key, in hexadecimal."""

    scopes: frozenset[Scope] = Field(min_length=1)

    requests_per_s: float | None = Field(default=None, ge=1e-6, le=1e6, allow_inf_nan=False)
    """Requests per second, on average; None for any number."""

    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests that may come at once after a pause; None for those of one second."""

    concurrency: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests under way at the same time; None for any number."""

    expires: datetime | date | None = None
    """When it ends: a time with its offset, or a day, in UTC, which is its last."""

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.burst is not None and self.requests_per_s is None:
            raise ValueError("burst has no effect without requests_per_s")
        if isinstance(self.expires, datetime) and self.expires.tzinfo is None:
            raise ValueError("expires: a time needs its offset, such as 2027-01-31T12:00:00Z")
        return self

    def may(self, scope: Scope) -> bool:
        """Whether it opens routes of `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def has_expired(self, now: datetime) -> bool:
        """Whether it no longer counts at `now`, a time with an offset."""
        if self.expires is None:
            return False
        if isinstance(self.expires, datetime):
            return now >= self.expires
        return now > datetime.combine(self.expires, time.max, UTC)


@dataclass(frozen=True, slots=True)
class Keys:
    """Those of one file."""

    by_digest: Mapping[bytes, Key] = field(default_factory=dict)

    names: frozenset[str] = frozenset()
    """Of all keys."""


class KeyFileError(ValueError):
    """The file is not one of keys; the message never holds what is in it beside names."""


def parse_keys(content: bytes) -> Keys:
    """The keys in `content`. Raises KeyFileError, which names the first entry that is wrong."""
    if len(content) > MAX_FILE_BYTES:
        raise KeyFileError(f"has more than {MAX_FILE_BYTES} bytes, which is the limit")
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise KeyFileError("is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise KeyFileError(f"is not TOML: {error}") from None
    except (RecursionError, ValueError):
        raise KeyFileError("is not TOML that can be read") from None
    if unknown := next((name for name in document if name != "key"), None):
        raise KeyFileError(f"unknown name {unknown[:50]!r}; each key is a table [[key]]")
    entries = document.get("key", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KeyFileError("each key is a table [[key]], with two brackets")
    if len(entries) > MAX_KEYS:
        raise KeyFileError(f"has {len(entries)} keys, the limit is {MAX_KEYS}")
    return _checked([_entry(number, entry) for number, entry in enumerate(entries, 1)])


def _entry(number: int, entry: Mapping[str, object]) -> Key:
    if unknown := next((name for name in entry if name not in Key.model_fields), None):
        raise KeyFileError(f"key {number}: unknown name {unknown[:50]!r}; {nearest_of(unknown, Key.model_fields)}")
    try:
        return Key.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1])
        raise KeyFileError(f"key {number}: {where + ': ' if where else ''}{first['msg']}") from None


def _checked(keys: Sequence[Key]) -> Keys:
    found: dict[bytes, Key] = {}
    names: set[str] = set()
    for number, key in enumerate(keys, 1):
        digest = bytes.fromhex(key.sha256)
        if key.name in names:
            raise KeyFileError(f"key {number}: there is another one named {key.name}")
        if digest in found:
            raise KeyFileError(f"key {number}: is the same key as {found[digest].name}")
        names.add(key.name)
        found[digest] = key
    return Keys(found, frozenset(names))


def new_key() -> str:
    """A key that nobody has had before: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> bytes:
    """SHA-256 of a key, as a client sent it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def entry_text(key: Key) -> str:
    """The table of `key`, as it stands in a file."""
    lines = ["[[key]]", f'name = "{key.name}"', f'sha256 = "{key.sha256}"']
    scopes = ", ".join(f'"{scope}"' for scope in sorted(key.scopes))
    lines.append(f"scopes = [{scopes}]")
    for name in ("requests_per_s", "burst", "concurrency"):
        value = getattr(key, name)
        if value is not None:
            lines.append(f"{name} = {value}")
    if key.expires is not None:
        lines.append(f"expires = {key.expires.isoformat()}")
    return "\n".join([*lines, ""])
