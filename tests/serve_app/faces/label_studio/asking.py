"""Requests as Label Studio sends them, and configurations as people write them."""

from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.uploads import picture

MODEL = "/label-studio/benthic-demo"
RECTANGLES = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="label" toName="image">
    <Label value="Fixed answer A" background="red"/><Label value="B" predicted_values="fixed answer B, other"/>
  </RectangleLabels>
</View>"""
DATA_URI = f"data:image/png;base64,{base64_of(picture())}"
PROJECT = "1.1699999999"
BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lollollollol">""" + "".join(
    f'<!ENTITY {name} "&{previous};&{previous};&{previous};&{previous};&{previous};&{previous};&{previous};">'
    for previous, name in zip("abcdefghi", "bcdefghij", strict=True)
)


def config_of(*tags: str) -> str:
    """With these control tags, of the image in `data.image`."""
    return f'<View><Image name="image" value="$image"/>{"".join(tags)}</View>'


def tag(kind: str, *labels: str, **attributes: str) -> str:
    """A control tag with labels, each a value or the text of its attributes."""
    option = "Choice" if kind == "Choices" else "Label"
    inner = "".join(f"<{option} {text if '=' in text else f'value={text!r}'}/>" for text in labels)
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<{kind} name="{kind.lower()}" toName="image"{more}>{inner}</{kind}>'


def request_of(*images: str, config: str = RECTANGLES, **params: Any) -> dict[str, Any]:
    """The body that Label Studio 1.23 sends to /predict."""
    tasks = [
        {"id": number, "data": {"image": image}, "meta": {}, "project": 1, "predictions": [], "annotations": []}
        for number, image in enumerate(images or (DATA_URI,), start=1)
    ]
    always = {"login": None, "password": None, "context": None}
    return {"tasks": tasks, "project": PROJECT, "label_config": config, "params": {**always, **params}}


def setup_of(config: str = RECTANGLES, hostname: str = "http://localhost:8080", token: str = "abc") -> dict[str, Any]:
    """The body that Label Studio 1.23 sends to /setup."""
    return {
        "project": PROJECT,
        "schema": config,
        "hostname": hostname,
        "access_token": token,
        "extra_params": None,
    }


async def results_of(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The results for the first task."""
    answer = await client.post(f"{MODEL}/predict", json=body)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"][0]["result"]
    return results


async def refusal_of(client: httpx.AsyncClient, path: str, body: Any, status: int = 422) -> str:
    """The sentence of a refusal, in this face's form."""
    content = body if isinstance(body, bytes) else None
    answer = await client.post(MODEL + path, content=content, json=None if content is not None else body)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"] == answer.json()["detail"]
    assert "Traceback" not in answer.text
    assert len(answer.text) < 3000
    sentence: str = answer.json()["error"]
    return sentence


def read_brush(rle: bytes) -> NDArray[np.uint8]:
    """The values, by the format's own description."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        assert at <= len(bits)
        return int(bits[at - count : at], 2)

    count, value_bits = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    place = 0
    while place < count:
        is_run = take(1)
        length = take(widths[take(2)]) + 1
        for offset in range(1 if is_run else length):
            values[place + offset : place + (length if is_run else offset + 1)] = take(value_bits)
        place += length
    assert place == count
    assert len(bits) - at < 8
    return values
