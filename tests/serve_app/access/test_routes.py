"""All routes, without a key and with each kind of key: what is open, what answers 401 and what 403."""

import asyncio
from typing import Any

import httpx
import pytest

from serve_app.access.keys import Scope
from serve_app.access.routes import BY_METHOD, OPEN_FOLDERS, ROUTES, RouteTable
from tests.serve_app.access.guarded import Guarded, bearer, write
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.uploads import picture

REFUSED = (401, 403)


async def routes_of(door: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Method and template of every route that the door says it has, and of its files."""
    paths: dict[str, Any] = (await door.get("/openapi.json")).json()["paths"]
    declared = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return [*declared, ("GET", "/openapi.json"), ("GET", "/static/index.html"), ("GET", "/static/samples/frame.png")]


def scope_of(method: str, path: str) -> Scope | None:
    """Of the table itself, so that a route which it lacks is a failure."""
    return None if path.startswith(OPEN_FOLDERS) else BY_METHOD.get(path, {}).get(method, ROUTES[path])


async def ask(door: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    address = f"http://door{path.replace('{model}', 'other')}"
    files = {"file": ("a.png", picture(), "image/png")} if method == "POST" else None
    return await door.request(method, address, headers=headers, files=files)


async def test_the_table_has_every_route(door: httpx.AsyncClient) -> None:
    table = RouteTable()
    lacking = [path for _, path in await routes_of(door) if table.of(path.replace("{", "").replace("}", "")) is None]
    assert lacking == [], "say in serve_app/access/routes.py what they need"


async def test_every_route_asks_for_its_key_and_for_no_other(door: httpx.AsyncClient, guarded: Guarded) -> None:
    guarded.revoke()
    keys = {Scope.PREDICT: guarded.predict, Scope.METRICS: guarded.metrics, Scope.ADMIN: guarded.admin}
    for method, path in await routes_of(door):
        for prefix in ("", "/model/v1", "/"):
            scope, at = scope_of(method, path), prefix + path
            if scope is None:
                assert (await ask(door, method, at, {})).status_code not in REFUSED, at
                assert (await ask(door, method, at, bearer(guarded.wrong))).status_code not in REFUSED, at
                continue
            for shown in ({}, *map(bearer, (guarded.wrong, guarded.revoked, guarded.expired, "", "x" * 5000))):
                refused = await ask(door, method, at, shown)
                assert (refused.status_code, refused.json()["status"]) == (401, 401), (method, at)
                assert refused.headers["www-authenticate"].startswith("Bearer ")
            for its_scope, key in keys.items():
                answer = await ask(door, method, at, bearer(key))
                assert (answer.status_code == 403) is (its_scope not in (scope, Scope.ADMIN)), (method, at, its_scope)
                assert answer.status_code != 401


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/models"), ("DELETE", "/v1/models/{model}")])
async def test_only_admin_changes_the_models(
    door: httpx.AsyncClient, guarded: Guarded, method: str, path: str
) -> None:
    assert scope_of(method, path) is Scope.ADMIN
    for key in (guarded.predict, guarded.metrics):
        refused = await ask(door, method, path, bearer(key))
        assert (refused.status_code, refused.json()["code"]) == (403, "scope-missing")
    assert guarded.changes.wanted == []
    assert (await ask(door, "GET", path, bearer(guarded.predict))).status_code == 200


async def test_legacy_clients_find_their_members_in_a_refusal(door: httpx.AsyncClient, guarded: Guarded) -> None:
    for headers, status, code in (
        ({}, 401, "key-missing"),
        (bearer(guarded.wrong), 401, "key-invalid"),
        (bearer(guarded.metrics), 403, "scope-missing"),
    ):
        answer = await ask(door, "POST", "/predictor/", headers)
        assert answer.headers["content-type"] == "application/problem+json"
        members = answer.json()
        assert (members["status"], members["code"], members["success"], members["predictions"]) == (
            status, code, False, None,
        )  # fmt: skip
    models = (await door.get("/v1/models")).json()
    assert "success" not in models


async def test_a_revoked_key_counts_until_it_is_taken_out(door: httpx.AsyncClient, guarded: Guarded) -> None:
    assert (await door.get("/v1/models", headers=bearer(guarded.revoked))).status_code == 200
    guarded.revoke()
    assert (await door.get("/v1/models", headers=bearer(guarded.revoked))).status_code == 401
    assert (await door.get("/v1/models", headers=bearer(guarded.predict))).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/models/", "/v1/models/a/b", "/staticx", "/PREDICTOR/", "/redoc"]
)
async def test_a_path_that_is_not_in_the_table_is_not_there(
    door: httpx.AsyncClient, guarded: Guarded, path: str
) -> None:
    for headers in ({}, bearer(guarded.admin)):
        answer = await door.get(path, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (404, f"GET {path}: Not Found")


async def test_head_is_refused_as_get_is(door: httpx.AsyncClient) -> None:
    answer = await door.head("/v1/models")
    assert (answer.status_code, answer.content) == (401, b"")


async def test_a_browser_may_ask_beforehand_without_a_key_and_read_the_refusal(door: httpx.AsyncClient) -> None:
    origin = {"Origin": "http://localhost:3000"}
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-api-key"}
    preflight = await door.options("/predictor/", headers=origin | asks)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == "authorization, x-api-key"
    refused = await door.post("/predictor/", headers=origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin["Origin"])
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
    plain = await door.options("/predictor/")
    assert (plain.status_code, plain.headers["allow"]) == (204, "OPTIONS, POST")


async def test_refusals_are_counted_by_their_route(door: httpx.AsyncClient, guarded: Guarded) -> None:
    await door.get("/v1/models/other")
    await door.post("/predictor/")
    await door.get("/metrics")
    assert guarded.counted.answers == [("/v1/models/{model}", 401), ("/predictor/", 401), ("/metrics", 401)]


async def test_without_a_file_that_was_ever_good_nobody_may_call(guarded: Guarded) -> None:
    write(guarded.file, "nonsense")
    closed = Guarded.__new__(Guarded)
    closed.__dict__.update(guarded.__dict__)
    closed.ring = type(guarded.ring)(guarded.file, guarded.clock)
    async with closed.client() as door:
        answer = await door.get("/v1/models", headers=bearer(guarded.predict))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await door.get("/health/live")).status_code == 200
        write(guarded.file, *guarded.entries)
        guarded.clock.now_s += 2
        assert (await door.get("/v1/models", headers=bearer(guarded.predict))).status_code == 200


async def test_who_asks_for_health_alone_sees_to_it_that_a_broken_file_is_told_of(
    door: httpx.AsyncClient, guarded: Guarded
) -> None:
    write(guarded.file, "nonsense")
    guarded.clock.now_s += 5
    async with asyncio.timeout(5):
        while "is not TOML" not in guarded.ring.fault:
            assert (await door.get("/health/ready")).status_code == 200
            await asyncio.sleep(0)


async def test_without_keys_nothing_is_asked_for(client: httpx.AsyncClient, system: FakeSystem) -> None:
    del system
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.get("/metrics", headers=bearer("anything"))).status_code == 200
