"""Whose word HAProxy takes for where a request came from."""

import orjson

from serve_app.launcher.proxy.haproxy import ConnectionLimits
from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front
from tests.support.raw_http import ask, get, serving

TRUSTED = ConnectionLimits(trusted_proxies=("127.0.0.8/32", "10.9.0.0/16"))


CLAIMS = [
    ("127.0.0.8", ["x-forwarded-for: 10.1.2.3"], "10.1.2.3"),
    ("127.0.0.8", ["x-forwarded-for: 6.6.6.6, 10.1.2.3"], "10.1.2.3"),
    ("127.0.0.8", ["x-forwarded-for: 6.6.6.6, 10.1.2.3, 10.9.3.4"], "10.1.2.3"),
    ("127.0.0.8", ["x-forwarded-for: 6.6.6.6", "x-forwarded-for: 10.1.2.3"], "10.1.2.3"),
    ("127.0.0.8", ["x-forwarded-for: 2001:db8::7"], "2001:db8::7"),
    ("127.0.0.8", ["x-forwarded-for: nonsense"], "127.0.0.8"),
    ("127.0.0.8", ["x-forwarded-for: 10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4"], "10.9.0.2"),
    ("127.0.0.8", [], "127.0.0.8"),
    ("127.0.0.7", ["x-forwarded-for: 10.1.2.3"], "127.0.0.7"),
]
"""Address of the client of HAProxy, what it says, and the client that the door sees."""


async def test_of_a_trusted_proxy_the_door_sees_the_client_and_whether_it_came_by_tls() -> None:
    async with serving(BEHIND) as behind:
        with haproxy_in_front([behind], limits=TRUSTED) as port:
            for source, claimed, seen in CLAIMS:
                answer = await ask(port, get("/client", *claimed), source=source)
                assert orjson.loads(answer.body) == seen, claimed
            for source, believed in (("127.0.0.8", True), ("127.0.0.7", False)):
                heard = await ask(port, get("/headers", "x-forwarded-proto: https"), source=source)
                assert (["x-forwarded-proto", "https"] in orjson.loads(heard.body)) is believed


async def test_without_trusted_proxies_nobody_says_that_a_request_came_by_tls() -> None:
    async with serving(BEHIND) as behind:
        with haproxy_in_front([behind]) as port:
            heard = orjson.loads((await ask(port, get("/headers", "x-forwarded-proto: https"))).body)
    assert "x-forwarded-proto" not in {name for name, _ in heard}
