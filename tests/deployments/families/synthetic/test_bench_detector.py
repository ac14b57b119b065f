"""The detector of chosen cost: what it refuses, and that its random answers are the same every time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.load.correctness import mistakes
from benchmarks.sample_images import sample_image
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.synthetic.bench_detector import BenchDetector

ROOT = Path(__file__).parents[4]
ANSWER = """
import json, sys
import numpy as np
from deployments.definition import ModelDefinition
from deployments.families import load_family
from benchmarks.limit.pipeline import Pipeline
definition = ModelDefinition.model_validate_json(sys.argv[1])
pipeline = Pipeline(definition)
with open(sys.argv[2], "rb") as file:
    ready = pipeline.prepare(file.read())
alone, *batch = pipeline.answer([ready]) + pipeline.answer([ready, ready])
[first] = pipeline.infer([ready])
again = load_family(definition).build_graph()(ready.canvas[None])
same = [bool(np.allclose(one, np.asarray(other)[0], atol=1e-3)) for one, other in zip(first, again)]
print(json.dumps([alone, batch, same]))
"""


def definition(**parameters: Any) -> ModelDefinition:
    return ModelDefinition(family="bench-detector", parameters=parameters, largest_batch=2)


def test_the_family_is_in_the_table() -> None:
    family = load_family(definition(width=8, depth=1))
    assert isinstance(family, BenchDetector)
    assert family.canvas_px == (640, 640)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        (
            {"depht": 3},
            "parameters.depht of family 'bench-detector': Extra inputs .*; known: width, depth",
        ),
        (
            {"depth": 0},
            "depth of family 'bench-detector': Input should be greater than or equal to 1, got 0",
        ),
        ({"width": 8.5}, "parameters.width of family 'bench-detector': Input should be a valid integer, got 8.5"),
        ({"depth": True}, "got True"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelUnavailable, match=complaint):
        load_family(definition(**parameters))


def test_wrong_labels_and_canvas_are_told() -> None:
    with pytest.raises(ModelUnavailable, match="has 2 classes, but the definition names 1 labels"):
        load_family(definition().model_copy(update={"labels": ("one",)}))
    with pytest.raises(ModelUnavailable, match="multiples of 16"):
        load_family(definition().model_copy(update={"canvas_px": (640, 600)}))


def test_answers_are_real_and_repeat(tmp_path: Path) -> None:
    """A graph that is built anew gives the same outputs, and batches of one and two the same boxes."""
    file = tmp_path / "frame.jpg"
    file.write_bytes(sample_image("720p").upload.content)
    # A process of its own: TensorFlow's threads are set once in a process.
    command = [sys.executable, "-c", ANSWER, definition(width=8, depth=1).model_dump_json(), f"{file}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    alone, batch, same = json.loads(done.stdout.splitlines()[-1])
    assert same == [True, True, True]
    assert [mistakes(alone, rows) for rows in batch] == [[], []]
    assert 1 <= len(alone) <= 300
    boxes = np.array([row["bbox"] for row in alone])
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert boxes.min() >= 0
    assert boxes[:, [0, 2]].max() <= 1280
    assert boxes[:, [1, 3]].max() <= 720
