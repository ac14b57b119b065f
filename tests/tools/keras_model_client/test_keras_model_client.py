"""`keras-model-client`, the client of the legacy server, as it comes from PyPI."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve_app.uploads import picture
from tests.tools.environments import run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
ANIMALS = [["fixed answer A", [0.9], [10, 10, 50, 30]], ["fixed answer B", [0.6], [50, 25, 90, 45]]]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    path.write_bytes(picture())
    return path


def ask(door: str, image: Path) -> Any:
    no_image = image.with_name("notes.png")
    no_image.write_text("no image")
    return run_in("keras_model_client", HERE / "use.py", door, str(image), str(no_image))


def test_it_finds_what_the_model_found_by_every_address_that_the_legacy_server_had(door: str, image: Path) -> None:
    said = ask(door, image)
    for address, rows in said["by_address"].items():
        assert rows == same(ANIMALS), address
    assert len(said["by_address"]) == 4
    assert said["by_name"] == same(ANIMALS)
    # What it has of the answer is as sent; it leaves out what the legacy server did not say.
    with httpx.Client(trust_env=False) as http:
        sent = {"data": {"model_type": "image_queue_yolov5"}, "files": {"file": picture()}}
        plain = http.post(f"{door}/predictor/", **sent).json()  # type: ignore[arg-type]
    assert json.loads(said["json"][0]) == {name: plain[name] for name in ("success", "predictions")}
    assert said["pretty"][0].splitlines() == [
        "Success: True",
        "fixed answer A ~ (10.00, 10.00, 50.00, 30.00) ~ score(s): 0.90",
        "fixed answer B ~ (50.00, 25.00, 90.00, 45.00) ~ score(s): 0.60",
    ]


def test_a_refusal_is_an_error_to_it_and_never_an_empty_answer(door: str, image: Path) -> None:
    said = ask(door, image)
    assert (said["unknown"], said["no_image"]) == (404, 422)
    shown, complaint = said["complaint"]
    assert shown == ""
    assert "404 Client Error: Not Found for url" in complaint


def same(animals: list[list[Any]]) -> list[list[Any]]:
    return [[name, pytest.approx(scores), pytest.approx(box, abs=1e-4)] for name, scores, box in animals]
