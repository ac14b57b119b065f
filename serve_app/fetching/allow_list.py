"""Which hosts may be asked for images. Pure: the launcher reads it too.

An entry is `HOST`, `*.DOMAIN`, `HOST:PORT` or `SCHEME://HOST:PORT`, and ` private` behind it where the host is in the
network of the ship and not on the internet: `*.mbari.org`, `http://labelstudio.ship:8080 private`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from serve_app.fetching.addresses import is_public, literal
from serve_app.fetching.web_address import DEFAULT_PORTS, WebAddress

PRIVATE = "private"
_ENTRY = re.compile(
    r"(?:(?P<scheme>[^:/]*)://)?(?P<wildcard>\*\.)?(?P<host>\[[^]]*\]|[^:/]+)(?::(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """An entry of the list. scheme, port: None for http and https, each with its own port."""

    host: str
    has_subdomains: bool = False
    """Whether the names below `host` are meant, and not itself."""
    scheme: str | None = None
    port: int | None = None
    is_private: bool = False
    """Whether it may have addresses of private networks, and of this machine."""

    @classmethod
    def of(cls, entry: str) -> Self:
        """Raises ValueError that says what is wrong with the entry."""
        text, _, word = " ".join(entry.split()).partition(" ")
        if word not in ("", PRIVATE):
            raise ValueError(f"{entry!r}: only the word {PRIVATE!r} may follow a host, got {word!r}")
        found = _ENTRY.fullmatch(text)
        if found is None or found["scheme"] not in (None, *DEFAULT_PORTS):
            raise ValueError(f"{entry!r} is no HOST, *.DOMAIN, HOST:PORT or http(s)://HOST:PORT")
        try:
            address = WebAddress.of(f"http://{found['host']}:{found['port'] or 80}/")
        except ValueError as error:
            raise ValueError(f"{entry!r}: {error}") from None
        ip = literal(address.host)
        if ip is not None and not is_public(ip) and word != PRIVATE:
            raise ValueError(
                f"{entry!r} is no address of the internet; write '{entry.strip()} {PRIVATE}' if it is meant"
            )
        if ip is not None and found["wildcard"]:
            raise ValueError(f"{entry!r}: an address has no names below it")
        port = None if found["port"] is None else int(found["port"])
        return cls(address.host, found["wildcard"] is not None, found["scheme"], port, word == PRIVATE)

    def covers(self, address: WebAddress) -> bool:
        """Whether this entry allows the address."""
        if self.scheme not in (None, address.scheme):
            return False
        if address.port != (self.port or DEFAULT_PORTS[address.scheme]):
            return False
        return address.host.endswith(f".{self.host}") if self.has_subdomains else address.host == self.host


@dataclass(frozen=True, slots=True)
class AllowList:
    """All entries; none of them: nothing is fetched."""

    entries: tuple[AllowedHost, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """Raises ValueError for the first entry that is none."""
        return cls(tuple(AllowedHost.of(entry) for entry in entries))

    def entry_for(self, address: WebAddress) -> AllowedHost | None:
        """The entry that allows it, one that allows private addresses before others; None where none does."""
        found = [entry for entry in self.entries if entry.covers(address)]
        return max(found, key=lambda entry: entry.is_private, default=None)
