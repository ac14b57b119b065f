"""The two pages on Redis say what the code does: the client script runs, the tables are those of the code."""

import asyncio
import json
import re
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from pydantic import BaseModel

from deployments.errors import all_error_types
from redis_bridge import keys
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.settings import BridgeSettings
from redis_bridge.wire.encodings import ENCODINGS
from redis_bridge.wire.msgpack_encoding import MAX_ITEMS, MAX_LIST_ITEMS
from redis_bridge.wire.presets import PRESETS
from redis_bridge.wire.profiles import AnswerFormat, QueueProfile
from serve_app.launcher.configuration.field_docs import field_docs
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import Client, legacy_answer

DOCS = Path(__file__).parents[2] / "docs"
FOR_CLIENTS = (DOCS / "redis.md").read_text()
FOR_OPERATORS = (DOCS / "redis-operating.md").read_text()


async def test_the_ten_line_client_gets_its_answer(
    client: Client, start_bridge: StartBridge, valkey: ValkeyProcess, tmp_path: Path
) -> None:
    found = re.search(r"```python\n(.*?)```", FOR_CLIENTS, re.DOTALL)
    assert found
    lines = [line for line in found[1].splitlines() if line]
    assert len(lines) == 10
    script = found[1].replace("6379", valkey.address.split(":")[-1].removesuffix("/0"))
    PIL.Image.fromarray(np.full((6, 5, 3), (200, 100, 64), np.uint8)).save(tmp_path / "frame.png")
    async with start_bridge():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert json.loads(output.decode().replace("'", '"')) == legacy_answer((200, 100, 64))


def settings_models() -> list[type[BaseModel]]:
    """The settings of both applications. The import brings Ray, so it is left to the one test that needs it."""
    from redis_bridge.embedded import EmbeddedSettings

    return [BridgeSettings, EmbeddedSettings]


def test_the_tables_of_settings_are_those_of_the_code() -> None:
    for settings in settings_models():
        docs = field_docs(settings)
        for name, field in settings.model_fields.items():
            assert f"| `{name}` | `{field.default}` | {docs[name]} |" in FOR_OPERATORS


def test_the_table_of_profiles_is_that_of_the_code() -> None:
    docs = field_docs(QueueProfile)
    for name, field in QueueProfile.model_fields.items():
        default = field.default.value if isinstance(field.default, AnswerFormat) else field.default
        assert f"| `{name}` | `{default}` | {docs[name]} |" in FOR_CLIENTS
    rows = [
        line.split("|")[1] for line in FOR_CLIENTS.splitlines() if line.startswith("| `") and line.count("|") == 5
    ]
    told = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert set(PRESETS) <= told
    assert all(f"\n| `{answer.value}` | " in FOR_CLIENTS for answer in AnswerFormat)


def test_the_table_of_encodings_is_that_of_the_code() -> None:
    for name, encoding in ENCODINGS.items():
        assert f"| `{name}` | {encoding.job_type} | {encoding.image_type} | {encoding.title} |" in FOR_CLIENTS


def test_every_error_of_a_job_is_in_both_tables() -> None:
    codes = {kind.code for kind in all_error_types()}
    for page in (FOR_CLIENTS, FOR_OPERATORS):
        rows = [line for line in page.splitlines() if line.startswith("|")]
        assert {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)} >= codes


def test_the_limits_of_msgpack_are_those_of_the_code() -> None:
    assert f"at most {MAX_LIST_ITEMS:,} items, all of a job together {MAX_ITEMS:,}" in FOR_CLIENTS


def test_the_examples_of_bridge_settings_are_valid() -> None:
    examples = [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", FOR_CLIENTS + FOR_OPERATORS, re.DOTALL)
    ]
    blocks = [example[0] if isinstance(example, list) else example for example in examples]
    args = [block["args"] for block in blocks if "args" in block]
    assert len(args) >= 2
    for each in args:
        BridgeSettings.model_validate(each)


@pytest.mark.parametrize(
    "key",
    [
        keys.Slot("<queue>", "<bridge>", 7).key.replace("7", "<number>"),
        keys.attempts("<queue>"),
        keys.trial("<bridge>"),
        keys.EXTERNAL_ASKED,
        "<key in img_key>",
        keys.heartbeat("<bridge>"),
        keys.BRIDGES,
        keys.REGISTERED,
        keys.DEAD_LETTERS,
        keys.DEAD_LETTERS_SEEN,
        f"{keys.DEAD_LETTER_PAYLOAD}<n>",
    ],
)
def test_every_key_is_in_both_tables(key: str) -> None:
    assert f"| `{key}` |" in FOR_OPERATORS
    assert keys.__doc__
    assert f"| `{key}` |" in keys.__doc__
