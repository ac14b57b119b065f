"""What a server says of itself: its models, whether it is ready; and a file that it has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the server. state: ready, asleep (the next request wakes it), starting, unhealthy, failed or
    stopping; reason says why it is not well. labels: None where only its weights have them. is_external: it runs
    elsewhere, as the worker of a queue. raw: all that the server says, its live settings included."""

    name: str
    state: str
    reason: str
    description: str
    family: str
    revision: str | None
    licence: str | None
    labels: tuple[str, ...] | None
    queues: tuple[str, ...]
    is_external: bool
    is_default: bool
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, members: Mapping[str, Any], is_default: bool = False) -> Self:
        """From the server's JSON. Raises KeyError and TypeError."""
        labels = members.get("labels")
        return cls(
            name=members["name"],
            state=members["state"],
            reason=members.get("reason") or "",
            description=members.get("description") or "",
            family=members.get("family") or "",
            revision=members.get("revision"),
            licence=members.get("licence"),
            labels=None if labels is None else tuple(labels),
            queues=tuple(members.get("queues") or ()),
            is_external=bool(members.get("external")),
            is_default=is_default,
            raw=members,
        )


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a request would be answered now. reasons: why not; degraded: what else is not well."""

    is_ready: bool
    reasons: tuple[Mapping[str, Any], ...] = ()
    degraded: tuple[Mapping[str, Any], ...] = ()

    def __bool__(self) -> bool:
        return self.is_ready

    @classmethod
    def read(cls, members: Mapping[str, Any], is_ready: bool) -> Self:
        """From the server's JSON. Raises KeyError and TypeError."""
        return cls(is_ready, tuple(members["reasons"]), tuple(members.get("degraded") or ()))


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that the server has made. media_type: such as "text/csv"; "" where it did not say."""

    content: bytes
    media_type: str
