"""The examples of `/v1` in docs/http-api.md do what the page says: with curl, with Python, and by their answer."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from deployments.definition import ModelDefinition
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem
from tests.serve_app.faces.v1.predicting import PATH
from tests.support.no_meter import NoMeter
from tests.support.raw_http import serving

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/http-api.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Predict with /v1\n")[1].split("\n## ")[0]
THAT_OF_THE_SYSTEM = PAGE.split("\n## The system\n")[1].split("\n## ")[0]
FRAME = ROOT / "deployments/families/demo/samples/seafloor-1.png"


def block(section: str, language: str) -> str:
    [text] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert isinstance(text, str)
    return text


def commands() -> list[str]:
    """A command begins at the start of a line; its further lines are indented."""
    return re.split(r"\n(?! )", block(SECTION, "sh").strip())


@pytest.fixture
async def door(system: FakeSystem, tmp_path: Path) -> AsyncIterator[str]:
    """The address of the door, whose model knows fish."""

    async def metrics_text() -> str:
        return ""

    definition = ModelDefinition(family="fixed-answer", labels=("Fish", "Sea star"))
    system.replica = Replica("benthic-demo", definition, Resources(), NoMeter())
    models = ModelAccess(system, system.predict, system.ask_external)
    api = create_api(models, System(system, metrics_text, tmp_path), DoorSettings(), CountedAnswers())
    async with serving(api) as port:
        yield f"http://127.0.0.1:{port}"
    await system.replica.close()


async def output_of(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
@pytest.mark.parametrize("command", commands())
async def test_curl_gets_what_the_page_says(door: str, command: str) -> None:
    output = await output_of("sh", "-c", command.replace("http://localhost:8082", door).replace("curl ", "curl -sS "))
    answer = orjson.loads(output)
    assert [one["width"] for one in answer["images"]] == [960] * command.count("seafloor"), answer
    if "Fish" in command:
        assert {one["label"] for one in answer["images"][0]["detections"]} == {"Fish"}


async def test_three_lines_of_python_get_it_too(door: str) -> None:
    program = block(SECTION, "python").replace("http://localhost:8082", door)
    assert len([line for line in program.splitlines() if not line.startswith(("from", "import"))]) == 3
    namespace: dict[str, Any] = {"print": lambda found: namespace.update(found=found)}
    await asyncio.to_thread(exec, program.replace("deployments/", f"{ROOT}/deployments/"), namespace)
    assert [one["label"] for one in namespace["found"]] == ["Fish", "Sea star"]


async def test_the_answer_on_the_page_has_the_shape_of_a_real_one(door: str) -> None:
    async with httpx.AsyncClient(base_url=door) as client:
        answer = await client.post(PATH, files={"image": (FRAME.name, FRAME.read_bytes())}, data={"classes": "Fish"})
        assert shape_of(orjson.loads(block(SECTION, "json"))) == shape_of(answer.json() | {"licence": "MIT"})
        system = (await client.get("/v1/system")).json()
    shown = orjson.loads(block(THAT_OF_THE_SYSTEM, "json"))
    assert set(shown) == set(system)
    assert set(shown["models"][0]) == set(system["models"][0])


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape_of(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape_of(one) for one in value]
    return type(value).__name__
