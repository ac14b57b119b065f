"""Where the server is, and how it is asked: address, key, timeout."""

from __future__ import annotations

import ipaddress
import math
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from fathom_client.version import VERSION

DEFAULT_URL = "http://localhost:8082"
URL_VARIABLE = "FATHOM_URL"
KEY_VARIABLE = "FATHOM_API_KEY"
AUTHORITY_VARIABLE = "FATHOM_CACERT"
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Connection:
    """url: of the server, perhaps with a path under which it is published. timeout_s: for connecting (10 s at most),
    for each pause while sending, and for each silence before and within the answer."""

    url: httpx.URL
    api_key: str | None = field(repr=False)
    timeout_s: float
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    """Whose certificates are believed; None for those that httpx believes."""

    @classmethod
    def chosen(
        cls,
        url: str | None,
        api_key: str | None,
        timeout_s: float,
        environ: Mapping[str, str] = os.environ,
    ) -> Connection:
        """From arguments, else from the environment. Raises ValueError."""
        if not (timeout_s > 0 and math.isfinite(timeout_s)):
            raise ValueError(f"timeout_s={timeout_s}: it has to be above 0")
        key = api_key or environ.get(KEY_VARIABLE) or None
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError(
                f"the API key ({KEY_VARIABLE}) has characters that no key has, such as a space or a newline"
            )
        address = _address(url or environ.get(URL_VARIABLE) or DEFAULT_URL)
        authority = environ.get(AUTHORITY_VARIABLE)
        return cls(address, key, timeout_s, _trust_in(authority) if authority and address.scheme == "https" else None)

    @property
    def shown(self) -> str:
        """The address for people, without a password in it."""
        return str(self.url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")

    def http_options(self) -> dict[str, Any]:
        """What both clients of httpx are made with."""
        headers = {"User-Agent": f"fathom-client/{VERSION}"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        is_loopback = _is_loopback(self.url.host)
        host = f"[{self.url.host}]" if ":" in self.url.host else self.url.host
        return {
            "base_url": self.url,
            "headers": headers,
            "timeout": httpx.Timeout(self.timeout_s, connect=min(CONNECT_TIMEOUT_S, self.timeout_s), pool=None),
            # A proxy for the internet, named by the environment, cannot reach this machine's own loopback.
            "mounts": {f"{self.url.scheme}://{host}": None} if is_loopback else {},
            # Reading all certificates takes a tenth of a second; where nothing is encrypted none is needed.
            "verify": self.trust or not (is_loopback and self.url.scheme == "http"),
            # A key goes to the server that it is for, nowhere else.
            "follow_redirects": False,
        }


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"the server's address cannot be read: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"the server's address has to begin with http:// or https://, as {DEFAULT_URL} does")
    if url.query or url.fragment:
        raise ValueError(f"the server's address ends before ? and #; a key goes into {KEY_VARIABLE}")
    return url


def _trust_in(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except ssl.SSLError:
        raise ValueError(f"{AUTHORITY_VARIABLE}: {authority} holds no certificate in PEM") from None
    except OSError as error:
        raise ValueError(f"{AUTHORITY_VARIABLE}: {authority}: {error.strerror}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
