"""Run in the environment of tritonclient: what a program of its users does, over gRPC, with both of its clients.

Prints what it got, and the numbers of the fields of its messages.
"""

import asyncio
import json
import queue
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

NAMES = ("boxes", "scores", "class_ids", "labels", "image_index")


def image_of(content: bytes, shape: tuple[int, ...] = (1,)) -> triton.InferInput:
    image = triton.InferInput("image", list(shape), "BYTES")
    return image.set_data_from_numpy(np.array([content] * int(np.prod(shape)), dtype=object).reshape(shape))


def found_in(result: triton.InferResult) -> dict:
    found = {name: result.as_numpy(name) for name in NAMES}
    labels = [label.decode() for label in found.pop("labels").tolist()]
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
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(model, "1", as_json=True),
        "config": client.get_model_config(model, as_json=True)["config"],
        "index": client.get_model_repository_index(as_json=True)["models"],
        "statistics": client.get_inference_statistics(model, as_json=True),
        "all": client.get_inference_statistics(as_json=True),
    }


def asked(client: triton.InferenceServerClient, model: str, content: bytes) -> dict:
    def infer(*images: triton.InferInput, **options: object) -> dict:
        return found_in(client.infer(model, list(images), **options))

    pixels = triton.InferInput("pixels", [50, 100, 3], "UINT8")
    pixels.set_data_from_numpy(np.zeros((50, 100, 3), np.uint8))
    numbers = [triton.InferRequestedOutput(name) for name in NAMES]
    return {
        "plain": infer(image_of(content)),
        "two": infer(image_of(content, (2, 1))),
        "named": infer(image_of(content), outputs=numbers, request_id="7", client_timeout=20),
        "pixels": infer(pixels),
        "gzip": infer(image_of(content), compression_algorithm="gzip"),
        "deflate": infer(image_of(content), compression_algorithm="deflate"),
        "none": infer(image_of(content), parameters={"score_threshold": 0.95}),
        "one": infer(image_of(content), parameters={"max_detections": 1}, timeout=4_000_000),
        "id": client.infer(model, [image_of(content)], request_id="frame 7").get_response().id,
        "later": later(client, model, content),
    }


def later(client: triton.InferenceServerClient, model: str, content: bytes) -> dict:
    """By the call that does not wait."""
    done: queue.Queue = queue.Queue()
    client.async_infer(model, [image_of(content)], lambda result, error: done.put(error or result))
    answer = done.get(timeout=20)
    if isinstance(answer, InferenceServerException):
        raise answer
    return found_in(answer)


async def asked_aio(address: str, model: str, content: bytes) -> dict:
    async with triton_aio.InferenceServerClient(address) as client:
        answers = await asyncio.gather(*(client.infer(model, [image_of(content)]) for _ in range(20)))
        found = [found_in(answer) for answer in answers]
        config = await client.get_model_config(model, as_json=True)
        return {
            "all_the_same": all(one == found[0] for one in found),
            "found": found[0],
            "ready": await client.is_model_ready(model),
            "config": config["config"]["name"],
        }


def refused(client: triton.InferenceServerClient, model: str, content: bytes) -> dict:
    box = [triton.InferRequestedOutput("box")]
    classified = [triton.InferRequestedOutput("scores", class_count=2)]
    return {
        "model": error_of(lambda: client.infer("nothing", [image_of(content)])),
        "version": error_of(lambda: client.infer(model, [image_of(content)], model_version="9")),
        "image": error_of(lambda: client.infer(model, [image_of(b"no image")])),
        "output": error_of(lambda: client.infer(model, [image_of(content)], outputs=box)),
        "classes": error_of(lambda: client.infer(model, [image_of(content)], outputs=classified)),
        "parameter": error_of(lambda: client.infer(model, [image_of(content)], parameters={"score_treshold": 0.5})),
        "sequence": error_of(lambda: client.infer(model, [image_of(content)], sequence_id=7)),
        "unload": error_of(lambda: client.unload_model(model)),
        "memory": error_of(lambda: client.get_system_shared_memory_status()),
    }


def fields() -> dict:
    """Message -> field -> number, type, and whether there are many."""
    found: dict = {}

    def note(message: object) -> None:
        found[message.full_name] = {one.name: [one.number, one.type, one.is_repeated] for one in message.fields}
        for below in message.nested_types:
            note(below)

    for file in (service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR):
        for message in file.message_types_by_name.values():
            note(message)
    types = model_config_pb2.DESCRIPTOR.enum_types_by_name["DataType"].values
    return {"messages": found, "types": {one.name: one.number for one in types}}


if __name__ == "__main__":
    address, frame, model = sys.argv[1:]
    file = Path(frame).read_bytes()
    with triton.InferenceServerClient(address) as grpc:
        seen = {
            "asked": asked(grpc, model, file),
            "told": told(grpc, model),
            "refused": refused(grpc, model, file),
            "aio": asyncio.run(asked_aio(address, model, file)),
            "fields": fields(),
        }
        sys.stdout.write(json.dumps(seen) + "\n")
