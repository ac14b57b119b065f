"""Stock tritonclient over gRPC: all that it can ask, by both of its clients."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
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
def seen(grpc_address: str, tmp_path: Path) -> Any:
    frame = tmp_path / "frame.png"
    frame.write_bytes(picture())
    return run_in("tritonclient", Path(__file__).with_name("use_grpc.py"), grpc_address, str(frame), MODEL)


def test_a_stock_client_gets_what_it_asks_for(seen: Any) -> None:
    asked, told = seen["asked"], seen["told"]
    found = {name: asked[name] for name in ("plain", "named", "pixels", "gzip", "deflate", "later")}
    for way, one in {**found, "aio": seen["aio"]["found"]}.items():
        assert one["boxes"] == [pytest.approx(box, abs=1e-4) for box in BOXES], way
        assert one["scores"] == pytest.approx([0.9, 0.6], abs=1e-6), way
        assert (one["labels"], one["class_ids"], one["image_index"]) == (LABELS, [0, 1], [0, 0]), way
    assert asked["two"]["image_index"] == [0, 0, 1, 1]
    assert asked["one"]["labels"] == LABELS[:1]
    assert asked["none"] == {"boxes": [], "scores": [], "class_ids": [], "labels": [], "image_index": []}
    assert asked["id"] == "frame 7"
    assert [seen["aio"][what] for what in ("all_the_same", "ready", "config")] == [True, True, MODEL]
    assert [told[what] for what in ("live", "ready", "model_ready", "of_version")] == [True] * 4
    assert told["of_another"] is False
    assert told["server"]["name"] == "fathomnet-serve"
    assert [one["name"] for one in told["metadata"]["inputs"]] == ["image", "pixels"]
    assert told["config"]["input"][0]["data_type"] == "TYPE_STRING"
    assert [(one["name"], one["state"]) for one in told["index"]] == [(MODEL, "READY")]
    assert told["statistics"]["model_stats"][0]["inference_count"] == "11"
    assert told["all"]["model_stats"][0]["name"] == MODEL
    _check_refusals(seen["refused"])
    _check_fields(seen["fields"])


def _check_refusals(refused: Any) -> None:
    statuses = {what: status.removeprefix("StatusCode.") for what, (status, _) in refused.items()}
    not_found = dict.fromkeys(("model", "version"), "NOT_FOUND")
    wrong = dict.fromkeys(("image", "output", "classes", "parameter", "sequence", "unload"), "INVALID_ARGUMENT")
    assert statuses == {**not_found, **wrong, "memory": "UNIMPLEMENTED"}
    assert "did you mean score_threshold?" in refused["parameter"][1]
    assert "did you mean boxes?" in refused["output"][1]


def _check_fields(theirs: Any) -> None:
    """Ours have the numbers and the types of Triton's."""

    def compare(message: Any) -> int:
        others = theirs["messages"][message.full_name]
        for field in message.fields:
            assert [field.number, field.type, field.is_repeated] == others[field.name], field.full_name
        return 1 + sum(compare(below) for below in message.nested_types)

    assert sum(compare(message) for message in messages.DESCRIPTOR.message_types_by_name.values()) > 40
    types = messages.DESCRIPTOR.enum_types_by_name["DataType"].values_by_name
    assert all(types[name].number == number for name, number in theirs["types"].items() if name in types)


def test_the_recipe_works_as_it_stands(grpc_address: str) -> None:
    page = (ROOT / "docs/connect.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", page.split("\n### gRPC\n")[1].split("\n## ")[0], re.DOTALL)
    program = program.replace("localhost:8084", grpc_address)
    command = [str(python_of("tritonclient")), "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(" [")[0] for line in done.stdout.splitlines()] == ["fixed answer A 0.9", "fixed answer B 0.6"]
