"""The example of docs/http-api.md does what the page says."""

import asyncio
import re
import shutil
from pathlib import Path

import orjson
import pytest

from serve_app.faces.open_inference.envelope import MAX_BRACKETS, MAX_NUMBERS
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.real_door import door_of
from tests.support.raw_http import serving

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/http-api.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## The Open Inference Protocol\n")[1].split("\n## ")[0]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
async def test_curl_gets_what_the_page_says(system: FakeSystem, tmp_path: Path) -> None:
    [command] = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    async with serving(door_of(system, tmp_path, max_upload_bytes=2**21)) as port:
        command = command.replace("http://localhost:8082", f"http://127.0.0.1:{port}").replace("curl ", "curl -sS ")
        process = await asyncio.create_subprocess_shell(command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    assert [one["name"] for one in orjson.loads(output)["outputs"]][:2] == ["boxes", "scores"]
    assert system.replica is not None
    await system.replica.close()


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"{MAX_NUMBERS:,} commas and {MAX_BRACKETS:,} opening brackets" in " ".join(SECTION.split())
