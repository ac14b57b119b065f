"""`ultralytics-platform` as it comes from PyPI, against a door that asks for an API key."""

from pathlib import Path

import numpy as np
import pytest

from tests.serve_app.access.guarded import access_for
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.real_door import door_of
from tests.serve_app.uploads import picture
from tests.tools.conftest import running
from tests.tools.environments import run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parent / "predict.py"


def test_the_client_finds_what_the_model_found_and_shows_what_is_wrong(system: FakeSystem, tmp_path: Path) -> None:
    image = tmp_path / "frame.png"
    image.write_bytes(picture())
    access, key = access_for(tmp_path / "keys.toml")
    with running(system, door_of(system, tmp_path, access)) as url:
        said = run_in("ultralytics_platform", SCRIPT, url, str(image), key)
    expected = np.array([[0.9, 10, 10, 50, 30], [0.6, 50, 25, 90, 45]])
    for way in ("model", "deployment"):
        assert [row[0] for row in said[way]] == ["fixed answer A", "fixed answer B"]
        assert np.array([row[1:] for row in said[way]]) == pytest.approx(expected, abs=1e-4), way
    assert said["task"] == "detect"
    assert said["normalized"][0] == ["fixed answer A", 0.9, 0.1, 0.2, 0.5, 0.6]
    assert said["refusals"] == [
        [422, "conf must be between 0 and 1, got 2.0"],
        [404, "no model and no queue is called 'nobody'"],
        [401, "this API key is not valid"],
    ]
