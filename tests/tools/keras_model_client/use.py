"""Asks a door through keras-model-client, as a module and as a command: use.py URL IMAGE NO_IMAGE.

Prints what came back, in JSON.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
from keras_model_client import PredictionResult, predict

QUEUE = "image_queue_yolov5"
ADDRESSES = ("/predictor/", "/predictor", "/model/v1/predictor/", "/model/v1/predictor")


def rows(result: PredictionResult) -> list[Any]:
    """What the client made of an answer, in its own types."""
    assert result.success is True
    return [[one.category_id, one.scores, one.bbox] for one in result.predictions]


def refusal(image: str, model_type: str, url: str) -> int:
    """The status by which a request was refused: the client raises, and shows no other words of the server's."""
    try:
        predict(image, model_type, url)
    except requests.HTTPError as error:
        return int(error.response.status_code)
    raise AssertionError("nothing was refused")


def command(*arguments: str) -> list[str]:
    """What the client's command prints, and of what it complains. Its exit status is always 0."""
    program = Path(sys.executable).with_name("model-server-predict")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=True)
    return [done.stdout, done.stderr]


def main(url: str, image: str, no_image: str) -> dict[str, Any]:
    return {
        "by_address": {address: rows(predict(Path(image), QUEUE, url + address)) for address in ADDRESSES},
        "by_name": rows(predict(image, "benthic-demo", f"{url}/predictor/")),
        "pretty": command(image, QUEUE, "--url", f"{url}/predictor/"),
        "json": command(image, QUEUE, "--url", f"{url}/predictor/", "-f", "json"),
        "unknown": refusal(image, "nobody", f"{url}/predictor/"),
        "no_image": refusal(no_image, QUEUE, f"{url}/predictor/"),
        "complaint": command(image, "nobody", "--url", f"{url}/predictor/"),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
