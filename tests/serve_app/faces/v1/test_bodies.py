"""Bodies of `/v1` that are wrong, odd or too large, and what they may hold of the door's memory."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from deployments.byte_budget import ByteBudget
from deployments.errors import ImageTooLarge, Overloaded
from serve_app.bodies.json_bodies import MAX_VALUES
from serve_app.faces.v1.sent import MAX_IMAGES, READ, read_sent
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.v1.predicting import PATH, base64_of, images, post_json, problem_in
from tests.serve_app.uploads import picture

JSON = {"content-type": "application/json"}
DEEP = b"[" * 1015 + b"]" * 1015
"""As deep as a reader of JSON still goes, which is deeper than Python shows."""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"{}", "either image or images"),
        (b'{"image": "QQ==", "images": ["QQ=="]}', "either image or images"),
        (b'{"images": []}', "images must be a list of 1 to 32 images, got 0 of them"),
        (b'{"images": "QQ=="}', "images must be a list of 1 to 32 images"),
        (b'{"images": [' + b", ".join([b'"QQ=="'] * 33) + b"]}", "got 33 of them"),
        (b'{"image": 5}', "image must be text"),
        (b'{"image": null}', "image must be text"),
        (b'{"image": ""}', "image is empty"),
        (b'{"images": ["QQ==", "A.A="]}', "images[1] is not valid base64: '.' at character 1"),
        (b'{"image": "HTTPS://example.org/a.jpg"}', "URLs are not fetched here"),
        (b'{"image": "data:image/png,abc"}', "a data URI without ;base64"),
        (b'{"imgae": "QQ=="}', "did you mean image?"),
        (b'{"image": "\xff"}', "the body is not JSON"),
        (b'{"image": ' + b"[" * 5000, "the body is not JSON"),
        (b'{"image": %s}' % DEEP, "image must be text"),
        (b'{"images": [%s]}' % DEEP, "images[0] must be text"),
        (b'{"images": {"a": %s}}' % DEEP, "images must be a list of 1 to 32 images"),
        (b'{"image": "QQ==", "score_threshold": %s}' % DEEP, "score_threshold must be a number"),
        (b'{"image": "QQ==", "score_threshold": {"Crab": %s}}' % DEEP, "score_threshold of 'Crab' must be a number"),
        (b'{"image": "QQ==", "score_threshold": {}}', "score_threshold is empty"),
        (b'{"image": "QQ==", "classes": %s}' % DEEP, "classes must be a list of labels"),
        (b'{"image": "QQ==", "tiling": %s}' % DEEP, "tiling must be text"),
        (b'{"image": "' + b"," * MAX_VALUES + b'"}', "commas and opening brackets"),
        (b'{"image": "QQ==", "score_threshold": NaN}', "the body is not JSON"),
    ],
)
async def test_what_is_wrong_with_a_json_body_is_named(
    client: httpx.AsyncClient, system: FakeSystem, body: bytes, words: str
) -> None:
    answer = await client.post(PATH, content=body, headers=JSON)
    assert words in problem_in(answer, 422)["detail"]
    assert system.asked == []


@pytest.mark.parametrize(
    "text",
    [
        base64.encodebytes(picture()).decode(),
        base64.urlsafe_b64encode(picture()).decode().rstrip("="),
        f"data:image/png;base64,{base64_of(picture())}",
        f"data:;base64,{base64_of(picture())}",
        f" data:image/png;charset=utf-8;base64,\n{base64_of(picture())}",
    ],
)
async def test_base64_is_read_in_every_form_in_which_clients_write_it(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post(PATH, json={"image": text})
    assert answer.status_code == 200, answer.text


async def test_slashes_that_php_escapes_are_read(client: httpx.AsyncClient) -> None:
    body = b'{"image": "' + base64.b64encode(picture()).replace(b"/", b"\\/") + b'"}'
    assert (await client.post(PATH, content=body, headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("images", ("a.png", picture()))], "did you mean image?"),
        ([("image", ("a.png", b""))], "the part 'image' is empty (image 1)"),
        ([("score_threshold", (None, b"0.5"))], "0 parts named image or file"),
        (images(*[picture((8, 8))] * (MAX_IMAGES + 1)), "33 parts named image or file, it must have 1 to 32"),
        ([*images(picture()), ("classes", (None, b"\xff"))], "'classes' is not UTF-8"),
        ([*images(picture()), ("classes", (None, b"x" * 5000))], "'classes' has 5000 bytes, the limit is 4096"),
    ],
)
async def test_what_is_wrong_with_a_form_is_named(
    client: httpx.AsyncClient, system: FakeSystem, parts: Any, words: str
) -> None:
    assert words in problem_in(await client.post(PATH, files=parts), 422)["detail"]
    assert system.asked == []


async def test_as_many_images_as_may_come_are_answered(client: httpx.AsyncClient) -> None:
    parts = [*images(*[picture((8, 8))] * MAX_IMAGES), *[("classes", (None, b"fixed answer A"))] * 8]
    answer = await client.post(PATH, files=parts)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == MAX_IMAGES


async def test_names_of_files_come_back_as_they_were_sent(client: httpx.AsyncClient) -> None:
    names = ["Tiefseegröße 1.png", "dive 7/frame.png", "深海.jpg"]
    answer = await client.post(PATH, files=[("image", (name, picture())) for name in names])
    assert [entry["name"] for entry in answer.json()["images"]] == names


async def test_a_body_that_is_no_image_form_or_json_is_told_what_is_read(client: httpx.AsyncClient) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/mixed; boundary=x"):
        answer = await client.post(PATH, content=picture(), headers={"content-type": content_type})
        assert content_type in problem_in(answer, 415)["detail"]
        assert answer.headers["accept"] == READ
    answer = await client.post(PATH, content=picture(), headers={"content-encoding": "gzip"})
    assert answer.headers["accept-encoding"] == "identity"
    problem_in(answer, 415)


async def test_an_empty_body_is_told(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"content-type": "image/png"}):
        assert "the body is empty" in problem_in(await client.post(PATH, headers=headers), 422)["detail"]
    for body in (b"garbage", b""):
        headers = {"content-type": "multipart/form-data; boundary=xyz"}
        problem_in(await client.post(PATH, content=body, headers=headers), 422)


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    assert "200000" in problem_in(await client.post(PATH, content=b"x" * 200_001), 413)["detail"]
    parts = images(b"x" * 100_000, b"x" * 100_000)
    assert "200000" in problem_in(await client.post(PATH, files=parts), 413)["detail"]


@pytest.mark.parametrize(
    ("body", "bytes_beside"),
    [
        (b'{"image": "' + b"QUFB" * 100 + b'"}', 2 * 413 + 309),
        (b'{"image": "' + b"QUFB" * 100 + b'", "classes": ["\xc3\xa4"]}', 8 * 432 + 324),
        (b'{"image": "' + b"QUFB" * 100 + b'", "classes": ["\\ud83d\\ude00"]}', 8 * 442 + 331),
    ],
)
async def test_what_reading_json_adds_counts_for_the_client(body: bytes, bytes_beside: int) -> None:
    budget = ByteBudget(10**6, "memory for uploads")
    with budget.open("client") as held:
        sent = await read_sent("application/json", body, held)
        assert [image.content for image in sent.images] == [b"AAA" * 100]
        assert held.size_bytes == bytes_beside
    small = ByteBudget(10**6, "memory for uploads", bytes_beside - 1)
    with small.open("client") as held, pytest.raises(ImageTooLarge):
        await read_sent("application/json", body, held)


async def test_json_that_never_fits_is_told_from_json_that_does_not_fit_now() -> None:
    budget = ByteBudget(2000, "memory for uploads")
    body = b'{"image": "' + b"QUFB" * 100 + b'"}'
    with budget.open("another") as other, budget.open("client") as held:
        other.grow(1500)
        with pytest.raises(Overloaded):
            await read_sent("application/json", body, held)


async def test_a_large_body_is_read_in_a_thread_to_the_same() -> None:
    budget = ByteBudget(2**30, "memory for uploads")
    content = b"a frame" * 500_000
    with budget.open("client") as held:
        sent = await read_sent("application/json", b'{"image": "' + base64.b64encode(content) + b'"}', held)
    assert [image.content for image in sent.images] == [content]


async def test_memory_is_given_back_after_every_answer(client: httpx.AsyncClient) -> None:
    # 400,000 bytes may be held; each of these needs about 100,000.
    wrong = base64_of(b"no picture" * 2000)
    for _ in range(10):
        problem_in(await client.post(PATH, json={"image": wrong}), 422)
    answers = await asyncio.gather(*(post_json(client) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
