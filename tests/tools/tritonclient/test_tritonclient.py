"""Stock tritonclient over HTTP: all that it can ask."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.serve_app.uploads import picture
from tests.tools.environments import RUN_S, python_of, run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
MODEL = "benthic-demo"
LABELS = ["fixed answer A", "fixed answer B"]
BOXES = [[10, 10, 50, 30], [50, 25, 90, 45]]


@pytest.fixture
def max_upload_bytes() -> int:
    return 2**22


@pytest.fixture
def seen(door: str, tmp_path: Path) -> Any:
    frame = tmp_path / "frame.png"
    frame.write_bytes(picture())
    script = Path(__file__).with_name("use.py")
    return run_in("tritonclient", script, door.removeprefix("http://"), str(frame), MODEL)


def test_a_stock_client_gets_what_it_asks_for(seen: Any) -> None:
    for way in ("plain", "json", "binary", "pixels", "gzip", "deflate"):
        found = seen["asked"][way]
        assert found["boxes"] == [pytest.approx(box, abs=1e-4) for box in BOXES], way
        assert found["scores"] == pytest.approx([0.9, 0.6], abs=1e-6), way
        assert (found["labels"], found["class_ids"], found["image_index"]) == (LABELS, [0, 1], [0, 0]), way
    assert seen["asked"]["two"]["image_index"] == [0, 0, 1, 1]
    assert seen["asked"]["one"]["labels"] == LABELS[:1]
    assert seen["asked"]["none"] == {"boxes": [], "scores": [], "class_ids": [], "labels": [], "image_index": []}
    assert seen["asked"]["id"] == "frame 7"
    told = seen["told"]
    assert [told[what] for what in ("live", "ready", "model_ready", "of_version", "of_another")] == [True] * 4 + [
        False
    ]
    assert [one["name"] for one in told["metadata"]["inputs"]] == ["image", "pixels"]
    assert told["config"]["input"][0]["data_type"] == "TYPE_STRING"
    assert [(one["name"], one["state"]) for one in told["index"]] == [(MODEL, "READY")]
    assert told["statistics"]["model_stats"][0]["inference_count"] == 11
    assert told["all"]["model_stats"][0]["name"] == MODEL
    statuses = {what: status for what, (status, _) in seen["refused"].items()}
    assert statuses == dict.fromkeys(("model", "version"), "404") | dict.fromkeys(
        ("image", "output", "parameter", "unload"), "422"
    )
    assert "did you mean score_threshold?" in seen["refused"]["parameter"][1]
    assert "did you mean boxes?" in seen["refused"]["output"][1]


def test_the_recipe_works_as_it_stands(door: str) -> None:
    page = (ROOT / "docs/connect.md").read_text(encoding="utf-8")
    [program] = re.findall(
        r"```python\n(.*?)```", page.split("\n## Triton clients\n")[1].split("\n### ")[0], re.DOTALL
    )
    program = program.replace("localhost:8082", door.removeprefix("http://"))
    command = [str(python_of("tritonclient")), "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(" [")[0] for line in done.stdout.splitlines()] == ["fixed answer A 0.9", "fixed answer B 0.6"]
