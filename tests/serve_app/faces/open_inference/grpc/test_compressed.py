"""gRPC itself expands a compressed message, and stops where it becomes larger than a message may be."""

import asyncio
import sys

import grpc
import pytest

from serve_app.faces.open_inference.grpc.rpcs import SERVICE
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.open_inference.asking import MODEL
from tests.serve_app.faces.open_inference.grpc.asking import infer_request, sent
from tests.serve_app.faces.open_inference.grpc.resident import Peak

MOST_BYTES = 2**22
BOMB_BYTES = 2**27
GOOD = infer_request().SerializeToString()

BOMB = """
import grpc, sys
call = grpc.insecure_channel(sys.argv[1]).unary_unary(sys.argv[2])
try:
    call(bytes(int(sys.argv[3])), compression=grpc.Compression[sys.argv[4]], timeout=20)
except grpc.RpcError as error:
    print(error.code().name)
"""


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(default_model=MODEL, deadline_s=5, max_upload_bytes=MOST_BYTES)


@pytest.mark.parametrize("compression", ["Gzip", "Deflate"])
async def test_a_message_that_expands_over_the_limit_is_never_held(
    address: str, channel: grpc.aio.Channel, system: FakeSystem, compression: str
) -> None:
    assert await sent(channel, "ModelInfer", GOOD)
    system.asked.clear()
    peak = Peak()
    # From another process, as the client has all of it in its memory.
    command = [sys.executable, "-c", BOMB, address, f"/{SERVICE}/ModelInfer", str(BOMB_BYTES), compression]
    bomber = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await bomber.communicate()
    assert peak.grown_bytes() < BOMB_BYTES / 4
    assert said == b"RESOURCE_EXHAUSTED\n"
    assert system.asked == []
    assert await sent(channel, "ModelInfer", GOOD)
