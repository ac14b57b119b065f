"""What HAProxy tells the system log: addresses of requests, but none with a key in it."""

import socket

from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front
from tests.support.raw_http import ask, get, serving


async def test_a_key_in_an_address_is_not_logged() -> None:
    async with serving(BEHIND) as behind:
        with socket.socket(type=socket.SOCK_DGRAM) as log:
            log.bind(("127.0.0.1", 0))
            log.settimeout(10)
            with haproxy_in_front([behind], log_target=f"127.0.0.1:{log.getsockname()[1]}") as port:
                for query in ("?api_key=hunter2", "?x=1&api_key=hunter2", "?last"):
                    assert (await ask(port, get(f"/headers{query}"))).status == 200
                told = b""
                while b"?last" not in told:
                    told += log.recv(65536)
    assert b"hunter2" not in told
