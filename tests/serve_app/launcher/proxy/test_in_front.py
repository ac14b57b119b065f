"""Before Ray's own proxy, which stands in front where HAProxy does not: what clients may say, and what they hear."""

from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from ray.serve._private.http_util import validate_http_proxy_callback_return
from ray.serve._private.utils import call_function_from_import_path
from uvicorn.protocols.http import auto

from serve_app.launcher.proxy.in_front import IMPORT_PATH
from tests.serve_app.launcher.proxy.app_behind import BEHIND


@pytest.fixture
async def front(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """An application behind what Ray finds under the name that the launcher gives it."""
    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)  # as it was, when this is over
    [middleware] = validate_http_proxy_callback_return(call_function_from_import_path(IMPORT_PATH))
    app = middleware.cls(BEHIND, *middleware.args, **middleware.kwargs)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        yield client


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Request-Timeout-Seconds", "0"),
        ("x-request-disconnect-disabled", "?1"),
        ("serve_multiplexed_model_id", "a"),
        ("serve-multiplexed-model-id", "a"),
        ("x-session-id", "a"),
        ("x-serve-router-anything", "a"),
        ("x-request-id", "a" * 129),
        ("x-request-id", "a b"),
    ],
)
async def test_a_client_cannot_steer_ray_by_headers(front: httpx.AsyncClient, name: str, value: str) -> None:
    heard = {
        pair[0] for pair in orjson.loads((await front.get("/headers", headers={name: value, "x-a": "b"})).content)
    }
    assert "x-a" in heard
    assert name.lower() not in heard


async def test_an_ordinary_request_id_is_kept(front: httpx.AsyncClient) -> None:
    heard = orjson.loads((await front.get("/headers", headers={"x-request-id": "0a-1.b_c:d"})).content)
    assert ["x-request-id", "0a-1.b_c:d"] in heard


@pytest.mark.parametrize(("status", "shown"), [(404, 503), (503, 503), (408, 504), (500, 500)])
async def test_what_ray_says_itself_becomes_a_problem(front: httpx.AsyncClient, status: int, shown: int) -> None:
    answer = await front.get("/text", params={"status": status})
    assert (answer.status_code, answer.headers["content-type"]) == (shown, "application/problem+json")
    assert (answer.json()["success"], answer.json()["predictions"]) == (False, None)
    assert ("retry-after" in answer.headers) is (shown == 503)


async def test_what_the_door_says_comes_as_it_is(front: httpx.AsyncClient) -> None:
    unknown = await front.get("/nothing")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "the door's own words")
    assert (await front.get("/text")).text == "as Ray says it"
    assert (await front.get("/-/healthz")).text == "success"
