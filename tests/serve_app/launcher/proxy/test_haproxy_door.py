"""What a client sees of HAProxy: its limits, its own answers, and what it does not hand on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest

from serve_app.launcher.processes.ports import free_ports
from serve_app.launcher.proxy.haproxy import ConnectionLimits
from serve_app.launcher.proxy.haproxy_config import Rules, edited
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.haproxy_in_front import config_by_ray, haproxy_environment_of, haproxy_in_front
from tests.serve_app.real_door import door_of, part_of_an_upload
from tests.support.raw_http import Answer, answer_from, ask, get, serving

CONNECTIONS = 400


@pytest.fixture
async def door() -> AsyncIterator[int]:
    """A HAProxy before an application that says what it heard."""
    async with serving(BEHIND) as behind:
        with haproxy_in_front([behind]) as port:
            yield port


@asynccontextmanager
async def holding(port: int, count: int, source: str, sent: bytes = b"") -> AsyncIterator[list[asyncio.StreamReader]]:
    """`count` connections of the client at `source`, each of which has said `sent`; fewer where they are refused."""
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(count):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            except ConnectionError:
                continue
            stack.callback(writer.close)
            writer.write(sent)
            readers.append(reader)
        yield readers


async def ask_from(source: str, port: int, request: bytes) -> Answer:
    async with holding(port, 1, source, request) as readers, asyncio.timeout(10):
        if not readers:
            raise ConnectionRefusedError
        return await answer_from(readers[0])


def is_temporary(answer: Answer) -> bool:
    legacy = {"success": False, "predictions": None}
    return (
        answer.problem.items() >= legacy.items() and answer.status == 503 and int(answer.headers["retry-after"]) > 0
    )


@pytest.mark.parametrize("path", ["/predictor/", "/health/live", "/", "/v1/models"])
async def test_while_the_system_starts_every_route_asks_to_try_again(path: str) -> None:
    with haproxy_in_front() as port:
        assert is_temporary(await ask(port, get(path)))


async def test_a_door_that_is_not_there_asks_to_try_again() -> None:
    [nobody] = free_ports(1)
    with haproxy_in_front([nobody]) as port:
        assert is_temporary(await ask(port, get("/health/live")))


async def test_the_proxy_that_ray_has_in_reserve_is_never_asked() -> None:
    [nobody] = free_ports(1)
    async with serving(BEHIND) as reserve:
        with haproxy_in_front([nobody], fallback=reserve) as port:
            assert is_temporary(await ask(port, get("/text")))
        with haproxy_in_front([], fallback=reserve) as port:
            assert is_temporary(await ask(port, get("/text")))


async def test_what_the_door_says_comes_as_it_is(door: int) -> None:
    unknown = await ask(door, get("/nothing"))
    assert (unknown.status, unknown.problem["detail"]) == (404, "the door's own words")
    text = await ask(door, get("/text"))
    assert (text.status, text.body) == (200, b"as Ray says it")


@pytest.mark.parametrize(
    ("status", "shown"), [(404, 503), (408, 504), (500, 500), (502, 503), (503, 503), (504, 504)]
)
async def test_errors_of_ray_become_problems(door: int, status: int, shown: int) -> None:
    answer = await ask(door, get(f"/text?status={status}"))
    assert (answer.status, "retry-after" in answer.headers) == (shown, shown == 503)
    assert answer.problem["success"] is False


@pytest.mark.parametrize(
    "header",
    [
        "X-Request-Timeout-Seconds: 0",
        "x-request-disconnect-disabled: ?1",
        "serve_multiplexed_model_id: a",
        "Serve-Multiplexed-Model-Id: a",
        "x-session-id: a",
        "x_session_id: a",
        "x-serve-router-anything: a",
        f"x-request-id: {'a' * 129}",
        "x-request-id: a b",
        "x-request-id: caf\xe9",
        "x-request-id: a\r\nx-request-id: b",
    ],
)
async def test_a_client_cannot_steer_ray_by_headers(door: int, header: str) -> None:
    heard = orjson.loads((await ask(door, get("/headers", header, "x-other: a"))).body)
    names = {name for name, _ in heard}
    assert "x-other" in names
    assert header.partition(":")[0].lower() not in names


async def test_an_ordinary_request_id_is_kept(door: int) -> None:
    heard = orjson.loads((await ask(door, get("/headers", "x-request-id: 0a1b-2c.d_e:f"))).body)
    assert ["x-request-id", "0a1b-2c.d_e:f"] in heard


async def test_the_door_sees_the_address_of_the_client_and_not_what_it_claims(door: int) -> None:
    answer = await ask_from("127.0.0.7", door, get("/client", "x-forwarded-for: 10.1.2.3"))
    assert orjson.loads(answer.body) == "127.0.0.7"


@pytest.mark.parametrize(
    "request_bytes",
    [b"no http at all\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", get("/\xff")],
    ids=["words", "header", "path"],
)
async def test_what_is_no_http_is_told_so(door: int, request_bytes: bytes) -> None:
    # In HAProxy's own words: it answers before any configuration is asked.
    answer = await ask(door, request_bytes)
    assert (answer.status, answer.headers["connection"]) == (400, "close")


async def test_a_connection_is_one_request_at_a_time(door: int) -> None:
    async with holding(door, 1, "127.0.0.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") as [reader], asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("head_bytes", "status"), [(15_000, 200), (30_000, 431), (60_000, 400)])
async def test_a_large_head_works_or_is_named(door: int, head_bytes: int, status: int) -> None:
    answer = await ask(door, get("/text", "x-large: " + "a" * head_bytes))
    assert answer.status == status
    if status == 431:
        assert "head" in str(answer.problem["detail"])


async def test_an_unfinished_head_ends_in_time() -> None:
    with haproxy_in_front(limits=ConnectionLimits(head_timeout_s=0.3)) as port:
        answer = await ask(port, b"GET /health/live HTTP/1.1\r\nHost: do")
        assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_silent_connection_is_closed_without_an_answer() -> None:
    with haproxy_in_front(limits=ConnectionLimits(head_timeout_s=0.3)) as port:
        async with holding(port, 1, "127.0.0.1") as [reader], asyncio.timeout(10):
            assert await reader.read() == b""


async def test_one_client_with_unfinished_heads_locks_nobody_out(door: int) -> None:
    async with holding(door, CONNECTIONS, "127.0.0.2", b"GET /health/live HTTP/1.1\r\nHost:"):
        async with asyncio.timeout(2):
            assert (await ask_from("127.0.0.3", door, get("/text"))).status == 200


async def test_many_clients_with_all_that_they_may_have_lock_nobody_out(door: int) -> None:
    async with AsyncExitStack() as stack:
        for client in range(2, 9):
            source = f"127.0.0.{client}"
            await stack.enter_async_context(holding(door, CONNECTIONS // 4, source, b"GET / HTTP/1.1\r\n"))
        async with asyncio.timeout(2):
            assert (await ask_from("127.0.0.9", door, get("/text"))).status == 200


async def test_a_client_with_too_many_connections_is_told_so_and_then_refused() -> None:
    async with serving(BEHIND) as behind:
        with haproxy_in_front([behind], limits=ConnectionLimits(per_client=8)) as port:
            async with holding(port, 8, "127.0.0.2", b"GET /text HTTP/1.1\r\nHost: a\r\n"):
                told = await once_not(200, "127.0.0.2", port)
                assert told is not None
                assert (told.status, int(told.headers["retry-after"])) == (429, 1)
                assert "connections" in str(told.problem["detail"])
                async with holding(port, 2, "127.0.0.2"):
                    assert await once_not(429, "127.0.0.2", port) is None
                assert (await ask_from("127.0.0.3", port, get("/text"))).status == 200
            async with asyncio.timeout(10):
                while (served := await once_not(429, "127.0.0.2", port)) is None:
                    pass
            assert served.status == 200


async def once_not(status: int, source: str, port: int) -> Answer | None:
    """The first answer of another status: HAProxy takes and leaves connections when it comes to it. None: refused."""
    async with asyncio.timeout(10):
        while True:
            try:
                answer = await ask_from(source, port, get("/text"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if answer.status != status:
                return answer


async def test_an_answer_may_take_longer_than_a_client_may_be_silent_in_its_upload() -> None:
    async with serving(BEHIND) as behind:
        with haproxy_in_front([behind], client_timeout_s=1) as port:
            assert (await ask(port, get("/late?after_s=2"))).status == 200


async def test_the_door_ends_a_stalled_upload_through_it(system: FakeSystem, tmp_path: Path) -> None:
    async with serving(door_of(system, tmp_path)) as behind:
        with haproxy_in_front([behind]) as port:
            answer = await part_of_an_upload(port, b"x" * 150_000)
            assert answer.status == 408
            assert "150000 bytes" in str(answer.problem["detail"])


def test_what_is_edited_already_stays_as_it_is() -> None:
    with haproxy_environment_of(18082) as environ:
        config = config_by_ray(environ, 18082, [30000], fallback=8500).read_text()
    rules = Rules("0.0.0.0", 18082, "/tmp/somewhere", 10, 5.0)
    once = edited(config, rules)
    assert once != config
    assert edited(once, rules) == once


def test_a_configuration_without_the_door_is_refused_rather_than_left_unbounded() -> None:
    with haproxy_environment_of(18082) as environ:
        config = config_by_ray(environ, 18082, [30000]).read_text()
    with pytest.raises(ValueError, match=r"bind 127\.0\.0\.1:18083"):
        edited(config, Rules("0.0.0.0", 18083, "/tmp/somewhere"))
