"""A client of gRPC with nothing of its own: messages as bytes, or as our own types."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message
from starlette.types import ASGIApp

from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
from serve_app.faces.open_inference.grpc.calls import Knows, everybody
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.rpcs import SERVICE
from serve_app.faces.open_inference.grpc.server import GrpcServer
from tests.serve_app.faces.open_inference.asking import MODEL, elements, values_in
from tests.serve_app.uploads import picture

Metadata = Sequence[tuple[str, str]]
ANSWER_S = 20.0


@asynccontextmanager
async def served(app: ASGIApp, limits: Limits, knows: Knows = everybody) -> AsyncIterator[str]:
    """The address of a gRPC server in front of `app`."""
    server = GrpcServer(app, limits, knows)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(address: str, **options: int) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of its own. options: of the channel, such as max_send_message_length."""
    given = [("grpc.use_local_subchannel_pool", 1), *((f"grpc.{name}", value) for name, value in options.items())]
    async with grpc.aio.insecure_channel(address, options=given) as channel:
        yield channel


async def sent(
    channel: grpc.aio.Channel, name: str, message: bytes, metadata: Metadata = (), **options: Any
) -> bytes:
    """What comes back for the bytes of a message. Raises AioRpcError."""
    call = channel.unary_unary(f"/{SERVICE}/{name}")
    written: bytes = await call(message, metadata=metadata, timeout=ANSWER_S, **options)
    return written


async def called(channel: grpc.aio.Channel, name: str, message: Message, metadata: Metadata = ()) -> Any:
    """The answer to a call."""
    answer = getattr(messages, f"{name}Response")()
    answer.ParseFromString(await sent(channel, name, message.SerializeToString(), metadata))
    return answer


def infer_request(*tensors: tuple[str, str, Sequence[int], bytes], **members: Any) -> messages.ModelInferRequest:
    """With raw contents; of one picture where no tensor is given."""
    given = tensors or (("image", "BYTES", (1,), elements(picture())),)
    message = messages.ModelInferRequest(**{"model_name": MODEL, **members})
    for name, datatype, shape, content in given:
        message.inputs.add(name=name, datatype=datatype, shape=shape)
        message.raw_input_contents.append(content)
    return message


def outputs_in(answer: messages.ModelInferResponse) -> dict[str, Any]:
    """Output -> its values, in their shape where they are numbers."""
    found: dict[str, Any] = {}
    for output, content in zip(answer.outputs, answer.raw_output_contents, strict=True):
        values = values_in({"datatype": output.datatype}, content)
        found[output.name] = values if output.datatype == "BYTES" else np.reshape(values, tuple(output.shape))
    return found


async def refusal(
    channel: grpc.aio.Channel, name: str, message: bytes, metadata: Metadata = (), **options: Any
) -> grpc.aio.AioRpcError:
    """The error of a call that has none but that."""
    try:
        answer = await sent(channel, name, message, metadata, **options)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"it was answered: {answer[:200]!r}")
