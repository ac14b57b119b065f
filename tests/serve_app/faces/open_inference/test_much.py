"""Large tensors, and very many requests on one connection."""

import asyncio
import tracemalloc
from pathlib import Path

import httpx
import numpy as np
import orjson

from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.open_inference.asking import LENGTH, PATH, body_of, files, infer, outputs_in, pixels
from tests.serve_app.faces.v1.predicting import prediction, two_animals
from tests.serve_app.real_door import door_of
from tests.support.raw_http import answer_from, serving


async def test_fifty_megabytes_of_pixels_are_not_copied(client: httpx.AsyncClient, system: FakeSystem) -> None:
    frames = np.zeros((8, 1080, 1920, 3), np.uint8)
    frames[3] = 7
    assert frames.nbytes > 49 * 10**6
    sent = pixels(frames)
    tracemalloc.start()
    try:
        answer = await infer(client, sent)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outputs_in(answer)["image_index"].tolist() == [index for index in range(8) for _ in range(2)]
    assert [int(request.image.pixels[0, 0, 0]) for _, request in system.asked] == [0, 0, 0, 7, 0, 0, 0, 0]  # type: ignore[index]
    # The test itself puts the body together, in two copies.
    assert peak_bytes < 3 * frames.nbytes


async def test_a_thousand_requests_on_one_connection_are_answered(system: FakeSystem, tmp_path: Path) -> None:
    system.fails_with = prediction(two_animals())
    body, headers = body_of(files(), parameters={"binary_data_output": True})
    head = f"POST {PATH} HTTP/1.1\r\nHost: door\r\n{LENGTH}: {headers[LENGTH]}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(door_of(system, tmp_path)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(1000):
                writer.write(head.encode() + body)
                answer = await answer_from(reader)
                assert answer.status == 200
                text = orjson.loads(answer.body[: int(answer.headers[LENGTH.lower()])])
                assert text["outputs"][0]["shape"] == [2, 4]
        finally:
            writer.close()
    assert len(system.asked) == 1000
