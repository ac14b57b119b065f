"""Uploads over HTTPS: by HTTP/1.1 and HTTP/2, whole and stalled, to the door itself."""

from pathlib import Path

import httpx
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.serve_app.conftest import FakeSystem
from tests.serve_app.launcher.proxy.https_in_front import (
    AUTHORITY,
    ask_securely,
    http2_client,
    https_in_front,
    trusting,
    write_pair,
)
from tests.serve_app.real_door import FORM_TYPE, door_of, request
from tests.serve_app.uploads import picture
from tests.support.raw_http import serving


def replica_of(door: ASGIApp) -> ASGIApp:
    """The door as it is in a replica of Ray's, which answers HAProxy's check itself."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_check = scope["type"] == "http" and scope["path"] == "/-/healthz"
        await (PlainTextResponse("success") if is_check else door)(scope, receive, send)

    return answer


async def test_a_form_is_answered_alike_over_http_1_and_2(system: FakeSystem, tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    async with serving(replica_of(door_of(system, tmp_path))) as behind:
        with https_in_front([behind], files) as door:
            url = f"https://localhost:{door.port}/predictor/"
            async with httpx.AsyncClient(verify=trusting(), trust_env=False) as one, http2_client(door) as two:
                answers = [await http.post(url, files={"file": picture((300, 150))}) for http in (one, two)]
    assert [answer.http_version for answer in answers] == ["HTTP/1.1", "HTTP/2"]
    assert answers[0].json()["success"] is True
    assert len(answers[0].json()["predictions"]) == 2
    assert answers[0].json() == answers[1].json()


async def test_the_door_ends_a_stalled_upload(system: FakeSystem, tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    head = request("POST", "/predictor/", FORM_TYPE, "Content-Length: 190000")
    async with serving(replica_of(door_of(system, tmp_path))) as behind:
        with https_in_front([behind], files) as door:
            answer = await ask_securely(door.port, head + b"x" * 150_000)
    assert answer.status == 408
    assert "150000 bytes" in str(answer.problem["detail"])
    assert answer.headers["strict-transport-security"] == "max-age=86400"


async def test_an_upload_may_not_be_larger_over_http_2_either(system: FakeSystem, tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    async with serving(replica_of(door_of(system, tmp_path))) as behind:
        with https_in_front([behind], files) as door:
            async with http2_client(door) as http:
                answer = await http.post("/v1/models/benthic-demo/predict", content=bytes(3_000_000))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
