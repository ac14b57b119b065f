"""The address of an image, read strictly: what is checked is what is asked. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

import httpx

from serve_app.fetching.addresses import literal

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
LONGEST = 4096
"""Characters of an address."""

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where an image is. host: in lower case, as DNS has it, or an IP address. target: path and query."""

    scheme: str
    host: str
    port: int
    target: bytes

    @classmethod
    def of(cls, text: str, base: "WebAddress | None" = None) -> Self:
        """base: of which `text` may be a part, as in a redirect. Raises ValueError that says what is wrong."""
        if len(text) > LONGEST:
            raise ValueError(f"the address has {len(text)} characters, the limit is {LONGEST}")
        try:
            url = httpx.URL(text) if base is None else httpx.URL(str(base)).join(text)
            host = url.raw_host.decode("ascii")
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise ValueError(f"{text[:100]!r} is no address") from None
        if url.scheme not in DEFAULT_PORTS:
            raise ValueError(f"an address begins with http:// or https://, got {text[:50]!r}")
        if url.userinfo:
            raise ValueError("an address must not have a user name or a password in it")
        if url.port is not None and not 0 < url.port < 2**16:
            raise ValueError(f"there is no port {url.port}")
        return cls(url.scheme, _checked(host), url.port or DEFAULT_PORTS[url.scheme], url.raw_path)

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for a secret to be sent there too."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own, as in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target.decode('ascii', 'replace')}"


def file_name_of(url: str) -> str | None:
    """The last part of the path of an address; None where it has none."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or None


def _checked(host: str) -> str:
    host = host.lower().removesuffix(".")
    if literal(host) is not None:
        return host
    # Resolvers read 127.1, 0x7f.0.0.1 and 2130706433 as addresses; here each has one spelling.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise ValueError(f"{host[:50]!r} is no host: an IPv4 address is four decimal numbers such as 192.0.2.1")
    if _NAME.fullmatch(host) is None:
        raise ValueError(f"{host[:50]!r} is no name of a host")
    return host
