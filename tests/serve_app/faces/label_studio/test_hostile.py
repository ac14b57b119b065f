"""Requests that are to hurt: each is refused in words, in the face's own form, within time and memory."""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.label_studio.asking import BOMB, DATA_URI, RECTANGLES, refusal_of, request_of
from tests.support.image_host import ImageHost, image_host, redirect, reply

MAX_BYTES = 2_500_000
GZIP_BOMB = gzip.compress(bytes(20_000_000), 1)
LONGEST_S = 10.0
MOST_MEMORY_BYTES = 60_000_000


@pytest.fixture
async def host() -> AsyncIterator[ImageHost]:
    async with image_host() as served:
        served.answers |= {
            "/metadata": redirect("http://169.254.169.254/latest/meta-data/iam/"),
            "/loopback": redirect("http://127.0.0.1:6379/"),
            "/round": redirect("/round"),
            "/bomb": reply(GZIP_BOMB, "200 OK", "Content-Encoding: gzip"),
            "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc",
            "/announced": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc",
            "/endless": endless,
            "/silent": says_nothing,
            "/text": reply(b"no image at all"),
        }
        yield served


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await writer.drain()


async def says_nothing(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.Event().wait()


@pytest.fixture
def settings(host: ImageHost) -> DoorSettings:
    return DoorSettings(
        deadline_s=3,
        fetch_timeout_s=0.5,
        max_upload_bytes=MAX_BYTES,
        max_held_bytes=40_000_000,
        max_held_bytes_per_client=30_000_000,
        fetch_hosts=(f"127.0.0.1:{host.port} private", f"localhost:{host.port}"),
        faces=KNOWN_FACES,
    )


def of_config(text: object) -> dict[str, Any]:
    return request_of() | {"label_config": text}


def of_tasks(tasks: object) -> dict[str, Any]:
    return request_of() | {"tasks": tasks}


TASK = {"id": 1, "data": {"image": DATA_URI}}
BODIES: dict[str, tuple[object, int, str]] = {
    "a task that is lists within each other": (
        b'{"tasks": [' + b"[" * 1000 + b"]" * 1000 + b"]}",
        422,
        "within each other",
    ),
    "an XML bomb": (of_config(f"{BOMB}]><View>&j;</View>"), 422, "label_config must have no <!DOCTYPE>"),
    "a file by entity": (
        of_config('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'),
        422,
        "DOCTYPE",
    ),
    "2 MB of configuration": (of_config(RECTANGLES + " " * 2_000_000), 422, "the limit is 1048576"),
    "tags inside each other": (of_config("<View>" * 100_000), 422, "deep, which is the limit"),
    "many tags": (of_config(f"<View>{'<Label/>' * 100_000}</View>"), 422, "more than 20000 tags"),
    "one long attribute": (of_config(f'<View a="{"a" * 1_000_000}'), 422, "not well-formed XML"),
    "10,000 tasks": (of_tasks([TASK] * 10_000), 422, "tasks must be a list of 1 to 500 tasks, got 10000 of them"),
    "no tasks": (of_tasks([]), 422, "got 0 of them"),
    "tasks that are no list": (of_tasks({"0": TASK}), 422, "tasks must be a list"),
    "a task without data": (of_tasks([TASK, {"id": 2}]), 422, "tasks[1] must be an object with an object data"),
    "data that are a list": (of_tasks([{"id": 1, "data": ["a.png"]}]), 422, "tasks[0] must be an object"),
    "a task that is a number": (of_tasks([7]), 422, "tasks[0] must be an object with an object data, got '7'"),
    "members that nobody knows": (request_of() | {"threshold": 0.5}, 422, "unknown member 'threshold'"),
    "params that are a list": (request_of() | {"params": []}, 422, "params must be an object"),
    "params that nobody knows": (request_of(score=1), 422, "unknown member 'params.score'"),
    "a prompt": (request_of(context={"result": []}), 422, "this model takes no prompts"),
    "a list": ([1], 422, "the body must be a JSON object"),
    "no JSON": (b"tasks=1", 422, "the body is not JSON"),
    "not UTF-8": (b'{"tasks": "\xff"}', 422, "the body is not JSON"),
    "nothing": (b"", 422, "the body is not JSON"),
    "JSON 100,000 deep": (b"[" * 100_000, 422, "the body is not JSON"),
    "a million values": (b'{"tasks": [' + b"1," * 1_000_000 + b"1]}", 422, "more than 500000 commas"),
    "too many bytes": (b" " * (MAX_BYTES + 1), 413, f"the limit is {MAX_BYTES}"),
    "an infinite number": (b'{"tasks": 1e999}', 422, "the body is not JSON"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_hostile_body_is_refused(name: str, client: httpx.AsyncClient, system: FakeSystem) -> None:
    body, status, reason = BODIES[name]
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    sentence = await bounded(client, content, status)
    assert reason in sentence
    assert system.asked == []


ADDRESSES: dict[str, tuple[str, int, str]] = {
    "metadata": ("http://169.254.169.254/latest/meta-data/", 422, "is not among the hosts"),
    "metadata as a number": ("http://2852039166/", 422, "four decimal numbers"),
    "loopback in hexadecimal": ("http://0x7f.0.0.1/", 422, "four decimal numbers"),
    "loopback in IPv6": ("http://[::1]:8082/health", 422, "is not among the hosts"),
    "loopback mapped to IPv6": ("http://[::ffff:127.0.0.1]/", 422, "is not among the hosts"),
    "nowhere": ("http://0.0.0.0:8082/", 422, "is not among the hosts"),
    "a password": ("http://me:secret@HOST/a", 422, "user name or a password"),
    "a name of an inner address": ("http://localhost:PORT/a", 422, "localhost has the address"),
    "a redirect to metadata": ("http://HOST/metadata", 422, "http://169.254.169.254 is not among the hosts"),
    "a redirect to loopback": ("http://HOST/loopback", 422, "127.0.0.1:6379 is not among the hosts"),
    "redirects without end": ("http://HOST/round", 422, "redirects more than 5 times"),
    "a gzip bomb": ("http://HOST/bomb", 422, "sent the image compressed"),
    "less than announced": ("http://HOST/short", 422, "did not send the image"),
    "100 GB announced": ("http://HOST/announced", 413, f"the limit is {MAX_BYTES}"),
    "a body without end": ("http://HOST/endless", 413, f"the limit is {MAX_BYTES}"),
    "a host that says nothing": ("http://HOST/silent", 504, "did not send the image in time"),
    "a file": ("file:///etc/passwd", 422, "must be http(s)://"),
    "a very long address": ("http://HOST/" + "a" * 100_000, 422, "the limit is 4096"),
}


@pytest.mark.parametrize("name", ADDRESSES)
async def test_a_hostile_address_is_refused(
    name: str, client: httpx.AsyncClient, host: ImageHost, system: FakeSystem
) -> None:
    url, status, reason = ADDRESSES[name]
    url = url.replace("HOST", f"127.0.0.1:{host.port}").replace("PORT", str(host.port))
    assert reason in await bounded(client, orjson.dumps(request_of(url)), status)
    assert system.asked == []


async def test_hundreds_of_slow_and_endless_images_end_in_time(client: httpx.AsyncClient, host: ImageHost) -> None:
    images = [f"{host.url}/{('silent', 'endless', 'bomb')[number % 3]}" for number in range(300)]
    begun_s = time.monotonic()
    answer = await client.post("/label-studio/benthic-demo/predict", json=request_of(*images))
    assert time.monotonic() - begun_s < LONGEST_S
    assert answer.status_code == 200
    assert all("error" in one and "result" not in one for one in answer.json()["results"])
    assert host.most_under_way <= 4


async def test_what_is_no_image_is_the_models_to_refuse(client: httpx.AsyncClient, host: ImageHost) -> None:
    sentence = await refusal_of(client, "/predict", request_of(f"{host.url}/text"))
    assert "image" in sentence


async def bounded(client: httpx.AsyncClient, content: bytes, status: int) -> str:
    """The sentence of the refusal; fails where it takes long, or much memory."""
    tracemalloc.start()
    try:
        begun_s = time.monotonic()
        sentence = await refusal_of(client, "/predict", content, status)
        assert time.monotonic() - begun_s < LONGEST_S
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()
    return sentence
