"""The door over a real server, as odd, old and hostile HTTP clients speak to it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.serve_app.conftest import FakeSystem
from tests.serve_app.real_door import (
    BYTES_PER_S,
    FORM_TYPE,
    STALL_S,
    door_of,
    part_of_an_upload,
    request,
    send_slowly,
)
from tests.serve_app.uploads import picture
from tests.support.raw_http import answer_from, ask, get, serving

FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + picture() + b"\r\n--xyz--\r\n"
)


@pytest.fixture
async def door(system: FakeSystem, tmp_path: Path) -> AsyncIterator[int]:
    async with serving(door_of(system, tmp_path)) as port:
        yield port
    if system.replica is not None:
        await system.replica.close()


def upload(path: str = "/predictor/", *headers: str, version: str = "HTTP/1.1") -> bytes:
    length = f"Content-Length: {len(FORM)}"
    return request("POST", path, FORM_TYPE, length, *headers, body=FORM, version=version)


def chunked(path: str, size_bytes: int) -> bytes:
    pieces = [FORM[at : at + size_bytes] for at in range(0, len(FORM), size_bytes)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return request("POST", path, FORM_TYPE, "Transfer-Encoding: chunked", body=body)


READABLE = [
    "/",
    "/health/live",
    "/health/ready",
    "/v1/models",
    "/v1/models/other",
    "/v1/models/nobody",
    "/v1/samples",
    "/metrics",
    "/openapi.json",
    "/static/index.html",
    "/static/samples/frame.png",
    "/model/v1/health/live",
    "/predictor/",
    "/nothing",
]


@pytest.mark.parametrize("path", READABLE)
async def test_head_answers_as_get_does_without_the_body(door: int, path: str) -> None:
    read, asked = await ask(door, get(path)), await ask(door, request("HEAD", path))
    differing = {"date"}
    assert asked.status == read.status
    assert {n: v for n, v in asked.headers.items() if n not in differing} == {
        n: v for n, v in read.headers.items() if n not in differing
    }
    assert asked.body == b""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", door)
        writer.write(request("HEAD", path))
        assert (await reader.read()).endswith(b"\r\n\r\n")
        writer.close()


METHODS = [
    ("/health/live", "GET, HEAD, OPTIONS"),
    ("/v1/models/other/ready", "GET, HEAD, OPTIONS"),
    ("/static/index.html", "GET, HEAD, OPTIONS"),
    ("/", "GET, HEAD, OPTIONS"),
    ("/predictor/", "OPTIONS, POST"),
    ("/v1/models/other/predict", "OPTIONS, POST"),
    ("/v1/system", "GET, HEAD, OPTIONS"),
    ("/docs", "GET, HEAD, OPTIONS"),
    ("/model/v1/predictor", "OPTIONS, POST"),
    ("/sam-embed/", "OPTIONS, POST"),
]


@pytest.mark.parametrize(("path", "methods"), METHODS)
async def test_options_names_the_methods(door: int, path: str, methods: str) -> None:
    answer = await ask(door, request("OPTIONS", path))
    assert (answer.status, answer.headers["allow"]) == (204, methods)


@pytest.mark.parametrize(("path", "methods"), METHODS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"])
async def test_a_method_that_is_not_there_is_told_what_is(door: int, path: str, methods: str, method: str) -> None:
    answer = await ask(door, request(method, path))
    assert (answer.status, answer.headers["allow"]) == (405, methods)
    assert methods in str(answer.problem["detail"])


PLAIN_ERRORS = [
    (get("/static/index.html", "Range: bytes=99999999-"), 416),
    (get("/static/samples/frame.png", "Range: bytes=99999999-"), 416),
    (get("/static/index.html", "Range: bytes=x"), 400),
    (get("/static/index.html", "Range: lines=1-2"), 400),
    (request("OPTIONS", "/v1/models", "Origin: http://elsewhere", "Access-Control-Request-Method: GET"), 400),
    (request("OPTIONS", "/v1/models", "Origin: http://localhost", "Access-Control-Request-Method: BREW"), 400),
    (request("OPTIONS", "/predictor/", "Origin: http://elsewhere", "Access-Control-Request-Method: POST"), 400),
]


@pytest.mark.parametrize(("sent", "status"), PLAIN_ERRORS)
async def test_an_error_of_a_library_is_a_problem_document(door: int, sent: bytes, status: int) -> None:
    answer = await ask(door, sent)
    assert answer.status == status
    assert answer.problem["detail"]
    assert ("success" in answer.problem) == (b" /predictor/ " in sent)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert ("content-range" in answer.headers) == (status == 416)


async def test_a_text_that_is_no_error_stays_plain(door: int) -> None:
    allowed = request("OPTIONS", "/predictor/", "Origin: http://localhost", "Access-Control-Request-Method: POST")
    for sent, content_type in (
        (allowed, "text/plain; charset=utf-8"),
        (get("/metrics"), "text/plain; version=0.0.4"),
    ):
        answer = await ask(door, sent)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(content_type)


@pytest.mark.parametrize(
    "path", ["//predictor/", "/predictor//", "//model//v1///predictor", "http://door/predictor/"]
)
async def test_a_path_with_a_slash_too_many_or_in_full_is_answered(door: int, path: str) -> None:
    assert (await ask(door, upload(path))).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        chunked("/predictor/", 100),
        chunked("/predictor/", 100_000),
        upload("/predictor/", "Expect: 100-continue"),
        upload(version="HTTP/1.0"),
        upload("/predictor/", "Content-Encoding: identity"),
        upload("/predictor/", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        upload("/predictor/", "X-Forwarded-For: , ,", "X-Request-Id: caf\xe9"),
    ],
    ids=["chunked", "one chunk", "expect", "1.0", "identity", "h2c", "headers"],
)
async def test_uploads_in_all_ways_that_http_has_are_answered(door: int, sent: bytes) -> None:
    assert (await ask(door, sent)).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "zstd"])
async def test_a_compressed_body_is_refused_by_name(door: int, encoding: str) -> None:
    answer = await ask(door, upload("/predictor/", f"Content-Encoding: {encoding}"))
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert encoding in str(answer.problem["detail"])
    assert answer.problem["success"] is False


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/static/%00",
        "/static/%2e%2e/api.py",
        "/static/../api.py",
        "/static/" + "a" * 300,
        "/static",
        "/v1/models/a%2Fb",
        "/v1/models/%ff",
        "/v1/models/" + "a" * 5000,
        "/predictor;x=1",
        "/%",
        "/%zz",
        "*",
    ],
    ids=lambda path: path[:30],
)
async def test_odd_paths_are_not_found(door: int, path: str) -> None:
    answer = await ask(door, get(path))
    assert answer.status == 404
    assert answer.problem["title"]


async def test_an_upload_that_stalls_is_ended_and_gives_its_bytes_back(door: int) -> None:
    stalled = [asyncio.create_task(part_of_an_upload(door, b"x" * 150_000)) for _ in range(2)]
    for answer in await asyncio.gather(*stalled):
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "150000 bytes" in str(answer.problem["detail"])
        assert answer.problem["predictions"] is None
    # All of the client's share is free again.
    assert (await part_of_an_upload(door, b"x" * 189_000)).status == 408


async def test_an_upload_without_a_single_byte_is_ended(door: int) -> None:
    answer = await part_of_an_upload(door)
    assert answer.status == 408
    assert f"{STALL_S:g} s" in str(answer.problem["detail"])


async def test_an_upload_that_never_pauses_but_is_too_slow_is_ended(door: int) -> None:
    answer = await part_of_an_upload(door, *[b"x"] * 1000, pause_s=STALL_S / 6)
    assert answer.status == 408
    assert f"{BYTES_PER_S} bytes/s" in str(answer.problem["detail"])


async def test_a_slow_upload_that_is_fast_enough_is_answered(door: int) -> None:
    size = len(FORM) // 4
    pieces = [FORM[at : at + size] for at in range(0, len(FORM), size)]
    head = request("POST", "/predictor/", FORM_TYPE, f"Content-Length: {len(FORM)}")
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    async with asyncio.timeout(10):
        await send_slowly(writer, head, *pieces, pause_s=STALL_S / 10)
        assert (await answer_from(reader)).status == 200
    writer.close()


async def test_one_client_cannot_take_the_uploads_of_all(door: int) -> None:
    whole = request("POST", "/predictor/", FORM_TYPE, "Content-Length: 199999") + b"x" * 190_000
    async with asyncio.timeout(10):
        readers, writers = zip(
            *[await asyncio.open_connection("127.0.0.1", door, local_addr=("127.0.0.2", 0)) for _ in range(2)],
            strict=True,
        )
        for writer in writers:
            writer.write(whole)
        first = await asyncio.wait(
            [asyncio.create_task(answer_from(reader)) for reader in readers], return_when=asyncio.FIRST_COMPLETED
        )
        [refused] = [task.result() for task in first[0]]
        assert refused.status == 429
        assert "this client" in str(refused.problem["detail"])
        # Others have their share meanwhile.
        assert (await ask(door, upload())).status == 200
        await asyncio.wait(first[1])
        for writer in writers:
            writer.close()
