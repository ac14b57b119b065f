"""Run in the environment of tritonclient: what a program of its users does, over HTTP. Prints what it got."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def image_of(content: bytes, shape: tuple[int, ...] = (1,)) -> triton.InferInput:
    image = triton.InferInput("image", list(shape), "BYTES")
    return image.set_data_from_numpy(np.array([content] * int(np.prod(shape)), dtype=object).reshape(shape))


def found_in(result: triton.InferResult) -> dict:
    names = ("boxes", "scores", "class_ids", "labels", "image_index")
    found = {name: result.as_numpy(name) for name in names}
    labels = [label if isinstance(label, str) else label.decode() for label in found.pop("labels").tolist()]
    return {name: values.tolist() for name, values in found.items()} | {"labels": labels}


def error_of(call: object) -> list:
    try:
        call()  # type: ignore[operator]
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return []


def told(client: triton.InferenceServerClient, model: str) -> dict:
    client.load_model(model)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "of_version": client.is_model_ready(model, "1"),
        "of_another": client.is_model_ready(model, "2"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata(model, "1"),
        "config": client.get_model_config(model),
        "index": client.get_model_repository_index(),
        "statistics": client.get_inference_statistics(model),
        "all": client.get_inference_statistics(),
    }


def asked(client: triton.InferenceServerClient, model: str, content: bytes) -> dict:
    def infer(*images: triton.InferInput, **options: object) -> dict:
        return found_in(client.infer(model, list(images), **options))

    in_json = triton.InferInput("image", [1], "BYTES")
    in_json.set_data_from_numpy(np.array([base64.b64encode(content)], dtype=object), binary_data=False)
    pixels = triton.InferInput("pixels", [50, 100, 3], "UINT8")
    pixels.set_data_from_numpy(np.zeros((50, 100, 3), np.uint8))
    names = ("boxes", "scores", "class_ids", "labels", "image_index")
    texts = [triton.InferRequestedOutput(name, binary_data=False) for name in names]
    numbers = [triton.InferRequestedOutput(name) for name in names]
    return {
        "plain": infer(image_of(content)),
        "two": infer(image_of(content, (2, 1))),
        "json": infer(in_json, outputs=texts),
        "binary": infer(image_of(content), outputs=numbers, request_id="7"),
        "pixels": infer(pixels),
        "gzip": infer(image_of(content), request_compression_algorithm="gzip", response_compression_algorithm="gzip"),
        "deflate": infer(
            image_of(content), request_compression_algorithm="deflate", response_compression_algorithm="deflate"
        ),
        "none": infer(image_of(content), parameters={"score_threshold": 0.95}),
        "one": infer(image_of(content), parameters={"max_detections": 1}, timeout=4_000_000),
        "id": client.infer(model, [image_of(content)], request_id="frame 7").get_response()["id"],
    }


def refused(client: triton.InferenceServerClient, model: str, content: bytes) -> dict:
    return {
        "model": error_of(lambda: client.infer("nothing", [image_of(content)])),
        "version": error_of(lambda: client.infer(model, [image_of(content)], model_version="9")),
        "image": error_of(lambda: client.infer(model, [image_of(b"no image")])),
        "output": error_of(
            lambda: client.infer(model, [image_of(content)], outputs=[triton.InferRequestedOutput("box")])
        ),
        "parameter": error_of(lambda: client.infer(model, [image_of(content)], parameters={"score_treshold": 0.5})),
        "unload": error_of(lambda: client.unload_model(model)),
    }


if __name__ == "__main__":
    address, frame, model = sys.argv[1:]
    file = Path(frame).read_bytes()
    with triton.InferenceServerClient(address) as http:
        seen = {"asked": asked(http, model, file), "told": told(http, model), "refused": refused(http, model, file)}
        sys.stdout.write(json.dumps(seen) + "\n")
