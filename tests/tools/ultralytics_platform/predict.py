"""Asks a door through the client of Ultralytics Platform, as its users do: predict.py URL IMAGE KEY. Prints what came
back, in JSON."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ultralytics_platform import AsyncPlatform, Platform
from ultralytics_platform._exceptions import APIError

MODEL = ("anyone", "anything", "benthic-demo")


def rows(answer: dict[str, Any]) -> list[list[Any]]:
    """Name, score and corners of each detection, read by their order as `ul cloud predict` does."""
    [image] = answer["images"]
    return [[row["name"], row["confidence"], *row["box"].values()] for row in image["results"]]


def refusal(ask: Callable[[], object]) -> list[Any]:
    """Status and message of the error that the client makes of an answer."""
    try:
        ask()
    except APIError as error:
        return [error.status_code, error.json["error"]]
    raise AssertionError("nothing was refused")


async def asynchronously(url: str, content: bytes, key: str) -> dict[str, Any]:
    async with AsyncPlatform(api_key=key, base_url=url) as client:
        return await client.deployments.predict("anyone", "benthic-demo", body={"file": content, "imgsz": 640})


def main(url: str, image: str, key: str) -> dict[str, Any]:
    content, base = Path(image).read_bytes(), f"{url}/ultralytics"
    with Platform(api_key=key, base_url=base) as client:
        options = {"conf": 0.5, "iou": 0.7, "imgsz": 640, "normalize": False}
        answer = client.models.predict(*MODEL, body={"file": content, **options})
        normalized = client.models.predict(*MODEL, body={"file": content, "normalize": True, "decimals": 2})
        wrong = refusal(lambda: client.models.predict(*MODEL, body={"file": content, "conf": 2}))
        nobody = refusal(lambda: client.models.predict("a", "b", "nobody", body={"file": content}))
    with Platform(api_key="wrong", base_url=base) as stranger:
        refused = refusal(lambda: stranger.models.predict(*MODEL, body={"file": content}))
    return {
        "model": rows(answer),
        "task": answer["metadata"]["task"],
        "deployment": rows(asyncio.run(asynchronously(base, content, key))),
        "normalized": rows(normalized),
        "refusals": [wrong, nobody, refused],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
