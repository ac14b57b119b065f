"""Clients of other languages, run as they are, against the door: through HAProxy, and without it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http import auto

from serve_app.launcher.proxy.in_front import middlewares
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front
from tests.serve_app.real_door import door_of
from tests.serve_app.uploads import picture
from tests.support.raw_http import serving

HERE = Path(__file__).parent
PREDICT = "/v1/models/benthic-demo/predict"
CLIENT_S = 60

JAVA, NODE, CURL = shutil.which("java"), shutil.which("node"), shutil.which("curl")
needs_java = pytest.mark.skipif(JAVA is None, reason="no JDK is installed (Debian: openjdk-17-jdk-headless)")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed (Debian: apt install nodejs)")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed (Debian: apt install curl)")


def of_ray(door: ASGIApp) -> ASGIApp:
    """The door as Ray serves it, which says itself that it is well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_check = scope.get("path") == "/-/healthz"
        await (PlainTextResponse("success") if is_check else door)(scope, receive, send)

    return app


@pytest.fixture(params=["HAProxy", "no HAProxy"])
async def base(
    request: pytest.FixtureRequest, system: FakeSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Where the door is. Without HAProxy, Ray's own proxy asks for what stands before it, and starts then."""
    app = of_ray(door_of(system, tmp_path))
    if request.param == "HAProxy":
        async with serving(app) as door:
            with haproxy_in_front([door]) as port:
                yield f"http://127.0.0.1:{port}"
    else:
        monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)  # as it was, when this is over
        [middleware] = middlewares()
        async with serving(middleware.cls(app, *middleware.args, **middleware.kwargs)) as door:
            yield f"http://127.0.0.1:{door}"
    if system.replica is not None:
        await system.replica.close()


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(picture())
    return path


async def said_by(*command: str | Path | None) -> list[str]:
    """The lines that a client prints, which must end well."""
    started = [str(part) for part in command]
    process = await asyncio.create_subprocess_exec(
        *started, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), CLIENT_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()
    return out.decode().splitlines()


def is_legacy_success(body: Any) -> bool:
    return body["success"] is True and [row["category_id"] for row in body["predictions"]] == [
        "fixed answer A", "fixed answer B",
    ]  # fmt: skip


@needs_java
async def test_the_jdk_with_its_default_settings_offers_http2_and_gets_its_answers(base: str, frame: Path) -> None:
    lines = [line.split("\t") for line in await said_by(JAVA, HERE / "JdkClient.java", base, frame)]
    answers = {what: (int(status), json.loads(body)) for what, status, _, body in lines}
    assert {version for _, _, version, _ in lines} == {"HTTP_1_1"}
    for path in ("/predictor/", "/predictor", "/model/v1/predictor/", "//predictor/"):
        status, body = answers[f"form {path}"]
        assert (status, is_legacy_success(body)) == (200, True), path
    assert [len(image["detections"]) for image in answers[f"form {PREDICT}"][1]["images"]] == [1]
    assert [len(image["detections"]) for image in answers[f"raw {PREDICT}"][1]["images"]] == [2]
    status, body = answers["unknown /predictor/"]
    assert (status, body["success"], body["predictions"]) == (404, False, None)
    assert answers["unknown /v1"][0] == 404
    assert answers["get /v1/models"][0] == 200


@needs_node
async def test_form_data_of_a_page_is_read_and_its_errors_are_no_empty_answers(base: str, frame: Path) -> None:
    answers = {one["what"]: one for one in map(json.loads, await said_by(NODE, HERE / "form_data.mjs", base, frame))}
    for what in ("blob", "file"):
        assert (answers[what]["status"], is_legacy_success(answers[what]["body"])) == (200, True), what
    found = {
        what: [len(image["detections"]) for image in answers[what]["body"]["images"]]
        for what in ("several", "text in a blob", "raw blob", "stream")
    }
    assert found == {"several": [1, 1], "text in a blob": [1], "raw blob": [2], "stream": [1]}
    # A page that never looks at the status must not take a failure for an image without animals.
    for what, status in (("no image", 422), ("no such model", 404)):
        body = answers[what]["body"]
        assert (answers[what]["status"], body["success"], body["predictions"]) == (status, False, None)
    assert (answers["no image for /v1"]["status"], "images" in answers["no image for /v1"]["body"]) == (422, False)


@needs_curl
@pytest.mark.parametrize("option", ["--http1.1", "--http1.0", "--http2"])
async def test_curl_asks_for_heads(base: str, option: str) -> None:
    for path, status in (("/", 200), ("/v1/models", 200), ("/health/ready", 200), ("/predictor/", 405), ("/no", 404)):
        first, *headers = await said_by(CURL, "-sI", option, base + path)
        assert first.split()[1] == str(status), path
        names = {line.partition(":")[0].lower() for line in headers}
        assert {"content-type", "content-length"} <= names
        assert ("allow" in names) is (status == 405)


async def test_who_follows_no_redirect_needs_none(base: str) -> None:
    form = {"files": {"file": picture()}, "data": {"model_type": "image_queue_yolov5"}}
    async with httpx.AsyncClient(base_url=base, follow_redirects=False, timeout=30, trust_env=False) as http:
        document = (await http.get("/openapi.json")).json()["paths"]
        gets = [path for path, methods in document.items() if "get" in methods]
        gets = [path.replace("{model}", "other").replace("{version}", "1") for path in gets]
        for prefix in ("", "/model/v1"):
            for path in gets:
                assert (await http.get(prefix + path)).status_code == 200, prefix + path
            for path in ("/predictor", "/predictor/", "//predictor/", "//predictor"):
                answer = await http.post(f"{base}{prefix}{path}", **form)
                assert (answer.status_code, is_legacy_success(answer.json())) == (200, True), prefix + path
            assert (await http.post(prefix + PREDICT, content=picture())).status_code == 200
