"""The recipe in docs/connect.md adds a folder of labelled images, and removes a label again."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from serve_app.access.guard import Access
from tests.serve_app.access.guarded import Guarded
from tests.serve_app.faces.vss.embedding_system import RED, EmbeddingSystem, coloured
from tests.serve_app.faces.vss.real_face import served

ROOT = Path(__file__).parents[4]
SECTION = (
    (ROOT / "docs/connect.md").read_text(encoding="utf-8").split("\n## MBARI's fastapi-vss\n")[1].split("\n## ")[0]
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
async def test_a_folder_of_labels_becomes_a_project(
    system: EmbeddingSystem, guarded: Guarded, tmp_path: Path
) -> None:
    for label, count in (("Crab", 3), ("sea star", 40)):
        folder = tmp_path / "crops" / label
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"no {number}.png").write_bytes(RED if label == "Crab" else coloured(1, number, 1))
    [commands] = [text for text in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL) if "crops/" in text]
    async for address in served(system, tmp_path, Access(guarded.ring, lambda: 1, guarded.clock)):
        script = (
            commands.replace("localhost:8082/vss", address)
            .replace("MODEL", "vit")
            .replace("-Key: KEY", f"-Key: {guarded.admin}")
        )
        process = await asyncio.create_subprocess_exec(
            "sh", "-ec", script,
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, output
    [(_, rows)] = system.kept.kept.values()
    assert sorted(rows) == sorted(("sea star", f"no {number}") for number in range(40))
    # One request for the crabs, two for the sea stars.
    assert output.count(b'"added"') == 3
    assert b'"removed":3' in output
