"""Asks a door through inference-sdk, as its users do: detect.py URL IMAGE. Prints what came back, in JSON."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import cv2
import supervision as sv
from inference_sdk import InferenceConfiguration, InferenceHTTPClient
from inference_sdk.http.errors import HTTPCallErrorError

MODEL = "benthic-demo/1"


def boxes(result: dict[str, Any]) -> list[list[Any]]:
    """As supervision reads an answer: label, score and corners of each detection."""
    found = sv.Detections.from_inference(result)
    rows = zip(found.data["class_name"].tolist(), found.confidence.tolist(), found.xyxy.tolist(), strict=True)
    return [[label, score, *box] for label, score, box in rows]


def refusal(ask: Callable[[], object]) -> list[Any]:
    """Status and message of the error that the SDK makes of an answer."""
    try:
        ask()
    except HTTPCallErrorError as error:
        return [error.status_code, error.api_message]
    raise AssertionError("nothing was refused")


def main(url: str, image: str, key: str) -> dict[str, Any]:
    client = InferenceHTTPClient(api_url=f"{url}/roboflow", api_key=key)
    client.configure(InferenceConfiguration(api_key_transport="header", confidence_threshold=0.5))
    pixels = cv2.imread(image)
    v1 = client.infer(image, model_id=MODEL)
    with client.use_api_v0():
        v0 = client.infer(pixels, model_id=MODEL)
        v0_async = asyncio.run(client.infer_async(image, model_id=MODEL))
    with client.use_configuration(InferenceConfiguration(api_key_transport="header", max_batch_size=2)):
        batch = client.infer([image, image], model_id="image_queue_yolov5/1")
    with client.use_configuration(InferenceConfiguration(api_key_transport="both", class_filter=["fixed answer B"])):
        filtered = asyncio.run(client.infer_async(image, model_id="benthic-demo"))
    with client.use_configuration(InferenceConfiguration(api_key_transport="header", confidence_threshold=40)):
        wrong_option = refusal(lambda: client.infer(image, model_id=MODEL))
    # As the SDK shows its key unless it is told otherwise.
    plain = InferenceHTTPClient(api_url=f"{url}/roboflow", api_key=key).select_api_v0()
    return {
        "server": client.get_server_info().name,
        "models": [[model.model_id, model.task_type] for model in client.list_loaded_models().models],
        "v1": boxes(v1),
        "v0": boxes(v0),
        "v0_async": boxes(v0_async),
        "v0_with_the_key_in_the_query": boxes(plain.infer(image, model_id=MODEL)),
        "batch": [boxes(one) for one in batch],
        "filtered": boxes(filtered),
        "size": v1["image"],
        "unloaded": len(client.unload_model(MODEL).models),
        "cleared": len(client.unload_all_models().models),
        "wrong_option": wrong_option,
        "wrong_model": refusal(lambda: client.load_model("nobody/1")),
        "key_in_the_body": refusal(lambda: plain.select_api_v1().load_model(MODEL)),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
