"""Where a key is looked for in a request, and that it goes nowhere else."""

import base64
import logging

import httpx
import pytest

from deployments.logs import OWN_LOGGER
from deployments.watching import watch as watching
from deployments.watching.watch import Watch
from serve_app.access.credentials import shown_key
from tests.serve_app.access.guarded import Guarded, bearer
from tests.serve_app.uploads import picture


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def shown(query: bytes = b"", **headers: str) -> tuple[str | None, bytes]:
    """The key that is found, and the query that is left."""
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"headers": raw, "query_string": query}
    return shown_key(scope), scope["query_string"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (shown(), None),
        (shown(authorization="Bearer abc"), "abc"),
        (shown(authorization="bearer  abc "), "abc"),
        (shown(x_api_key="abc"), "abc"),
        (shown(x_api_key="abc", authorization=basic("proxy", "other")), "abc"),
        (shown(authorization=basic("anybody", "abc")), "abc"),
        (shown(authorization=basic("", "a:b")), "a:b"),
        (shown(authorization="Basic nonsense!"), ""),
        (shown(authorization="Digest abc"), ""),
        (shown(authorization="abc"), ""),
        (shown(authorization=""), ""),
        (shown(x_api_key="a" * 257), ""),
        (shown(authorization=f"Basic {'a' * 5000}"), ""),
        (shown(query=b"api_key=abc"), "abc"),
        (shown(query=b"api_key=a%2Bc&x=1"), "a+c"),
        (shown(query=b"api_keys=abc"), None),
        (shown(query=b"model_type=api_key"), None),
        (shown(query=b"api_key=abc", x_api_key="def"), "def"),
    ],
)
def test_a_key_is_found(found: tuple[str | None, bytes], expected: str | None) -> None:
    assert found[0] == expected


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"api_key=a", b""),
        (b"x=1&api_key=a&y=2", b"x=1&y=2"),
        (b"api_key=a&api_key=b", b""),
        (b"api_key", b""),
        (b"x=api_key&y=", b"x=api_key&y="),
    ],
)
def test_a_key_in_the_query_is_taken_out(query: bytes, left: bytes) -> None:
    assert shown(query)[1] == left


async def test_a_client_of_which_only_the_url_can_be_changed_is_let_in(
    door: httpx.AsyncClient, guarded: Guarded
) -> None:
    files = {"file": ("a.png", picture(), "image/png")}
    answer = await door.post("/predictor/", params={"api_key": guarded.predict, "model_type": "other"}, files=files)
    assert (answer.status_code, answer.json()["model"]) == (200, "other")
    refused = await door.post("/predictor/", params={"api_key": "wrong"}, files=files)
    assert refused.status_code == 401


async def test_no_key_comes_into_a_log_or_an_answer(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, OWN_LOGGER)
    watching.use(Watch(log_requests=True, tracing=None))
    try:
        async with guarded.client() as door:
            answers = [
                await door.get(path, headers=headers, params=params)
                for path in ("/v1/models", "/metrics", "/nothing", "/predictor/")
                for key in (guarded.predict, guarded.wrong, guarded.expired)
                for headers, params in ((bearer(key), {}), ({}, {"api_key": key}))
            ]
    finally:
        watching.use(None)
    told = "\n".join([*(str(record.__dict__) for record in caplog.records), *(a.text for a in answers)])
    assert "GET /v1/models 200" in told
    for key in (guarded.predict, guarded.wrong, guarded.expired):
        assert key not in told


INJECTED = ["a\r\nSet-Cookie: x=1", "\x00", "a\nb", "é" * 10, "\x7f", "%0d%0a", "' OR 1=1 --", "../../etc/passwd"]


@pytest.mark.parametrize("value", INJECTED)
async def test_what_a_header_holds_is_never_said_again(guarded: Guarded, value: str) -> None:
    """Past any server that would refuse such a header: the door itself, with whatever bytes."""
    said: list[bytes] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        said.extend(part for field in message.get("headers", []) for part in field)
        said.append(message.get("body", b""))

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    raw = value.encode("utf-8")
    async with guarded.client() as door:
        transport = door._transport
        assert isinstance(transport, httpx.ASGITransport)
        for name in (b"authorization", b"x-api-key", b"x-forwarded-for"):
            scope = {
                "type": "http", "method": "GET", "path": "/v1/models", "client": None,
                "query_string": b"api_key=" + raw, "headers": [(name, b"Bearer " + raw)],
            }  # fmt: skip
            await transport.app(scope, receive, send)
    assert raw not in b"\n".join(said)
    assert b'"status":401' in b"".join(said)
