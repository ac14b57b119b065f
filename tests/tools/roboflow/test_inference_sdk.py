"""`inference-sdk` and `supervision` as they come from PyPI, against a door that asks for an API key."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serve_app.access.guarded import access_for
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.v1.predicting import prediction, two_animals
from tests.serve_app.real_door import door_of
from tests.serve_app.uploads import picture
from tests.tools.conftest import running
from tests.tools.environments import run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
A = ["fixed answer A", 0.9, 10, 10, 50, 30]
B = ["fixed answer B", 0.6, 50, 25, 90, 45]


@pytest.fixture
def guarded(system: FakeSystem, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a door that asks for a key, and a key."""
    access, key = access_for(tmp_path / "keys.toml")
    with running(system, door_of(system, tmp_path, access)) as url:
        yield url, key


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    path.write_bytes(picture())
    return path


def test_the_sdk_finds_what_the_model_found_in_v0_and_in_v1(guarded: tuple[str, str], image: Path) -> None:
    url, key = guarded
    said = run_in("roboflow", HERE / "detect.py", url, str(image), key)
    for way in ("v1", "v0", "v0_async", "v0_with_the_key_in_the_query"):
        assert [row[0] for row in said[way]] == ["fixed answer A", "fixed answer B"], way
        assert np.array([row[1:] for row in said[way]]) == pytest.approx(np.array([A[1:], B[1:]]), abs=1e-4), way
    assert [len(one) for one in said["batch"]] == [2, 2]
    assert [row[0] for row in said["filtered"]] == ["fixed answer B"]
    assert said["size"] == {"width": 100, "height": 50}
    assert said["server"] == "FathomNet model server"
    assert said["models"] == [["benthic-demo/1", "object-detection"]]
    assert (said["unloaded"], said["cleared"]) == (1, 1)


def test_the_sdk_shows_what_is_wrong_in_words(guarded: tuple[str, str], image: Path) -> None:
    url, key = guarded
    said = run_in("roboflow", HERE / "detect.py", url, str(image), key)
    assert said["wrong_option"] == [422, "confidence must be between 0 and 1, got 40"]
    assert said["wrong_model"] == [404, "no model and no queue is called 'nobody'"]
    status, message = said["key_in_the_body"]
    assert (status, message.partition(":")[0]) == (401, "this server asks for an API key")


def test_supervision_reads_masks(door: str, system: FakeSystem, image: Path) -> None:
    system.fails_with = prediction(two_animals().picked(np.array([0])))
    said = run_in("roboflow", HERE / "masks.py", door, str(image))
    assert said["rle"] == {"shape": [1, 50, 100], "pixels": 800, "box_of_mask": [20, 10, 59, 29]}
    # An outline goes through the middles of the pixels at the edge.
    assert said["polygon"] == {"shape": [1, 50, 100], "pixels": 741, "box_of_mask": [20, 10, 58, 28]}
