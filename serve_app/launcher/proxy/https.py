"""HTTPS at the HTTP door: what HAProxy is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serve_app.launcher.processes.ports import Listener
from serve_app.launcher.proxy.certificate import Certificate

PlainHttp = Literal["loopback", "redirect", "open"]
"""Who is served over plain HTTP: this machine only; this machine, and others are sent to HTTPS; everybody."""

ELSEWHERE = "308.json"
"""The answer to whoever is sent to HTTPS."""

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: those with forward secrecy and without CBC. TLS 1.3 has no others."""

_PROTOCOLS = "http/1.1,h2"
"""HTTP/1.1 wins: over HTTP/2, curl 7 and others drop an answer that comes before their upload has ended, such as "too
many connections", though HAProxy sends it as it should (RFC 9113, 8.1)."""

_HSTS = "strict-transport-security"
_HSTS_VALUE = "max-age=86400"
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Https:
    """How the door speaks HTTPS."""

    listener: Listener
    certificate: Certificate
    plain: PlainHttp = "loopback"


def https_bind(https: Https, certificate: Path) -> str:
    """The listener. certificate: the file that HAProxy reads."""
    place = f"{written_host(https.listener.host)}:{https.listener.port}"
    return f"    bind {place} ssl crt {certificate} alpn {_PROTOCOLS} ssl-min-ver TLSv1.2 ciphers {_CIPHERS}"


def https_rules(https: Https, answers: Path, trusted_proxies: Sequence[str]) -> list[str]:
    """What is said of requests, after it is known whose `X-Forwarded-Proto` is believed."""
    rules = [
        "    http-request set-header x-forwarded-proto https if { ssl_fc } !{ req.hdr(x-forwarded-proto) -m found }",
        # The door's own answers have it; these are HAProxy's.
        f"    http-after-response set-header {_HSTS} {_HSTS_VALUE} if {{ ssl_fc }} !{{ res.hdr({_HSTS}) -m found }}",
    ]
    if https.plain == "redirect":
        port = "" if https.listener.port == _HTTPS_PORT else f":{https.listener.port}"
        served = " ".join(["127.0.0.0/8", "::1", *trusted_proxies])
        rules.append(
            # A browser would keep a 308 for ever.
            "    http-request return status 308 content-type application/problem+json "
            f"file {answers}/{ELSEWHERE} hdr location https://%[req.hdr(host),host_only]{port}%[pathq] "
            f"hdr cache-control no-store if !{{ ssl_fc }} !{{ src {served} }}"
        )
    return rules


def written_host(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host
