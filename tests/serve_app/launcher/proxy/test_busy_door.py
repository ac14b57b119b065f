"""A door that is busy stays in use: it is slow to say that it is there, which is no reason to send nobody to it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serve_app.launcher.processes.ports import free_ports
from serve_app.launcher.proxy.haproxy import BINARY
from tests.serve_app.launcher.proxy.haproxy_in_front import config_by_ray, haproxy_environment_of, listening
from tests.support.raw_http import ask, get, serving

BUSY_S = 0.6
CHECKS_EVERY_S = 0.3
"""A pause that is shorter: by itself HAProxy waits for its answer no longer than until the next check is due."""


@contextmanager
def haproxy_that_checks_often(door: int) -> Iterator[int]:
    """The port of one that does not pause for 5 s between two checks."""
    [port] = free_ports(1)
    with haproxy_environment_of(port) as environ:
        config = config_by_ray(environ, port, [door])
        written = config.read_text()
        assert " inter 5s" in written
        config.write_text(written.replace(" inter 5s", f" inter {round(CHECKS_EVERY_S * 1000)}ms"))
        with listening(environ[BINARY], config, port):
            yield port


async def test_a_door_that_is_slow_to_say_that_it_is_there_is_still_asked() -> None:
    checks = late = 0

    async def check(_: Request) -> Response:
        nonlocal checks, late
        checks += 1
        if checks > 1:
            late += 1
            await asyncio.sleep(BUSY_S)
        return PlainTextResponse("success")

    async def answer(_: Request) -> Response:
        return PlainTextResponse("the door's")

    app = Starlette(routes=[Route("/-/healthz", check), Route("/", answer)])
    async with serving(app) as behind, asyncio.timeout(60):
        with haproxy_that_checks_often(behind) as port:
            while late < 4:
                assert (await ask(port, get("/"))).status == 200, f"after {late} late ones"
