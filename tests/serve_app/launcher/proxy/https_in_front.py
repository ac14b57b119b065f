"""HAProxy with a certificate, as the system runs it, and certificates for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme

from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.processes.ports import Listener, free_ports
from serve_app.launcher.proxy.certificate import CertificateFiles, read_certificate
from serve_app.launcher.proxy.haproxy import (
    BINARY,
    CONTROL,
    ConnectionLimits,
    haproxy_environment,
    kept_certificate,
)
from serve_app.launcher.proxy.https import Https, PlainHttp
from tests.serve_app.launcher.proxy.haproxy_in_front import USUAL_LIMITS, config_by_ray, listening
from tests.support.raw_http import Answer, answer_from

AUTHORITY = trustme.CA()


@dataclass(frozen=True, slots=True)
class HttpsDoor:
    """Where it is."""

    plain_port: int
    port: int
    kept: Path
    """The file with certificate and key that HAProxy reads."""

    control: Path
    """HAProxy's socket as the system is told it; the one of the node is in a folder beside it."""


def write_pair(leaf: trustme.LeafCert, folder: Path) -> CertificateFiles:
    """Certificate and key in two files of `folder`."""
    files = CertificateFiles(folder / "fullchain.pem", folder / "privkey.pem")
    files.certificate.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    (folder / "privkey.pem").write_bytes(leaf.private_key_pem.bytes())
    (folder / "privkey.pem").chmod(0o600)
    return files


@contextmanager
def https_in_front(
    doors: list[int],
    files: CertificateFiles,
    plain: PlainHttp = "loopback",
    limits: ConnectionLimits = USUAL_LIMITS,
    client_timeout_s: int = 60,
) -> Iterator[HttpsDoor]:
    """A HAProxy with this certificate; 400 connections in all. Where `plain` says something of other machines, it
    listens for them."""
    plain_port, port = free_ports(2)
    host = "127.0.0.1" if plain == "loopback" else "0.0.0.0"
    https = Https(Listener("FATHOM_HTTPS_PORT", host, port), read_certificate(files), plain)
    given = {"RAY_SERVE_HAPROXY_MAXCONN": "400", "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(client_timeout_s)}
    environ = for_ray({}) | given
    with haproxy_environment(environ, Listener("FATHOM_HTTP_PORT", host, plain_port), limits, https) as found:
        environ |= found
        told = Path(environ[CONTROL])
        node = told.parent / "node"
        node.mkdir()
        config = config_by_ray({**environ, CONTROL: str(node / told.name)}, plain_port, doors)
        with listening(environ[BINARY], config, port):
            yield HttpsDoor(plain_port, port, kept_certificate(environ), told)


def trusting(*protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@asynccontextmanager
async def holding(port: int, source: str, *sent: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections without TLS, one for each of `sent`; fewer where they are refused."""
    async with AsyncExitStack() as stack:
        readers = []
        for words in sent:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            except ConnectionError:
                continue
            stack.callback(writer.close)
            writer.write(words)
            readers.append(reader)
        yield readers


async def ask_securely(
    port: int, request: bytes, source: str = "127.0.0.1", context: ssl.SSLContext | None = None
) -> Answer:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context or trusting(), server_hostname="localhost", local_addr=(source, 0)
        )
        writer.write(request)
        try:
            return await answer_from(reader)
        finally:
            writer.close()


class Http2Only(ssl.SSLContext):
    """Offers HTTP/2 and nothing else, whatever httpx asks for."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        del alpn_protocols
        super().set_alpn_protocols(["h2"])


def http2_client(door: HttpsDoor) -> httpx.AsyncClient:
    """A client that speaks HTTP/2 only."""
    context = Http2Only(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    base_url = f"https://localhost:{door.port}"
    return httpx.AsyncClient(base_url=base_url, verify=context, http2=True, trust_env=False, timeout=30)
