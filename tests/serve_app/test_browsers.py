"""What browsers are told: whose pages may call, and the headers that every answer has."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem

LOOPBACK = [
    f"{scheme}://{host}{port}"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1", "[::1]", "fast.localhost")
    for port in ("", ":80", ":3000", ":65535")
]
ELSEWHERE = [
    "http://elsewhere.example",
    "http://localhost.elsewhere.example",
    "http://elsewhere.example/localhost",
    "http://127.0.0.1.elsewhere.example",
    "http://127a0b0c1",
    "http://localhost:80@elsewhere.example",
    "http://localhost:x",
    "ftp://localhost",
    "http://::1",
    "null",
    "",
]


def door(system: FakeSystem, folder: Path, base_url: str = "http://door", **settings: object) -> httpx.AsyncClient:
    async def metrics_text() -> str:
        return ""

    models = ModelAccess(system, system.predict)
    api = create_api(models, System(system, metrics_text, folder), DoorSettings(**settings), CountedAnswers())  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(api, raise_app_exceptions=False), base_url=base_url)


async def is_allowed(http: httpx.AsyncClient, origin: str) -> bool:
    """By a preflight request and by the request itself, which must agree."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = await http.options("/predictor/", headers=asks)
    answer = await http.get("/health/live", headers={"Origin": origin})
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed in (None, origin)
    assert preflight.status_code == (200 if allowed else 400)
    return allowed is not None


async def test_pages_of_the_same_machine_may_call_in_all_spellings(system: FakeSystem, tmp_path: Path) -> None:
    async with door(system, tmp_path) as http:
        assert [origin for origin in LOOPBACK if not await is_allowed(http, origin)] == []
        assert [origin for origin in ELSEWHERE if await is_allowed(http, origin)] == []


async def test_others_may_where_they_are_named(system: FakeSystem, tmp_path: Path) -> None:
    origins = ["https://annotate.example.org", "null"]
    async with door(system, tmp_path, cors_origins=origins) as http:
        assert [await is_allowed(http, origin) for origin in (*origins, "http://localhost:1")] == [True] * 3
        for origin in ("http://annotate.example.org", "https://annotate.example.org:8443"):
            assert not await is_allowed(http, origin)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "annotate.example.org",
        "https://annotate.example.org/",
        "https://A.example",
        "https://a.example/x",
        "Null",
        "",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="an origin is SCHEME://HOST"):
        DoorSettings(cors_origins=(origin,))


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a regular expression"):
        DoorSettings(cors_origin_regex="(")


PATHS = [
    "/",
    "/static/index.html",
    "/static/page.js",
    "/static/samples/frame.png",
    "/static/nothing",
    "/health/live",
    "/v1/models",
    "/v1/models/nobody",
    "/openapi.json",
    "/metrics",
    "/nothing",
    "/predictor/",
    "/model/v1",
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_headers(system: FakeSystem, tmp_path: Path, path: str) -> None:
    (tmp_path / "frame.png").write_bytes(b"\x89PNG")
    async with door(system, tmp_path) as http:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            headers = (await http.request(method, path)).headers
            assert headers.get_list("x-content-type-options") == ["nosniff"], method
            assert headers.get_list("referrer-policy") == ["no-referrer"], method
            [policy] = headers.get_list("content-security-policy")
            assert "frame-ancestors 'none'" in policy
            assert "strict-transport-security" not in headers


async def test_only_behind_tls_a_browser_is_told_to_stay_there(system: FakeSystem, tmp_path: Path) -> None:
    async with door(system, tmp_path, base_url="https://door") as http:
        assert (await http.get("/health/live")).headers["strict-transport-security"] == "max-age=86400"
