"""What CVAT sends to Nuclio's dashboard, header by header (`LambdaGateway`), and what it then does with the answer:
the parts of `LambdaFunction` and `LambdaJob` that would refuse it."""

import base64
import json
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

HEADERS = {
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": "120s",
}


async def listed(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/functions", headers=HEADERS)
    assert answer.status_code == 200, answer.text
    functions: dict[str, Any] = answer.json()
    return functions


async def invoke(client: httpx.AsyncClient, function: str, body: Any) -> httpx.Response:
    """body: bytes as they are, else as JSON."""
    headers = {
        **HEADERS,
        "x-nuclio-function-name": function,
        "x-nuclio-path": "/",
        "Content-Type": "application/json",
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post("/api/function_invocations", headers=headers, content=content)


async def found(client: httpx.AsyncClient, function: str, image: bytes, **payload: Any) -> list[dict[str, Any]]:
    answer = await invoke(client, function, {**payload, "image": base64.b64encode(image).decode()})
    assert answer.status_code == 200, answer.text
    annotations: list[dict[str, Any]] = answer.json()
    return annotations


def labels_of(function: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and type of each label, as CVAT takes them from a function; one of which it takes none fails here."""
    assert function["metadata"]["annotations"]["type"] == "detector"
    spec = json.loads(function["metadata"]["annotations"]["spec"] or "[]")
    labels = [(label["name"], label.get("type", "unknown")) for label in spec]
    assert len({name for name, _ in labels}) == len(labels), "CVAT drops the function"
    assert isinstance(function["spec"]["description"], str)
    assert isinstance(function["status"]["state"], str)
    return labels


def pixels_of(annotation: dict[str, Any], image_size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask on the whole image, (height, width)."""
    *pixels, left, top, right, bottom = annotation["mask"]
    assert set(pixels) <= {0, 1}
    whole = np.zeros(image_size_px, bool)
    whole[top : bottom + 1, left : right + 1] = np.reshape(pixels, (bottom - top + 1, right - left + 1))
    return whole
