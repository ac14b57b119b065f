"""A checkpoint as its authors published it, added with the README's own block and asked through both doors."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import yaml

from tests.support.fixtures import fixture_file
from tests.system.conftest import ROOT, RunningSystem
from tests.system.legacy_jobs import answer_of, job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

SECTION = "### Bring your own model"


def section_blocks(language: str) -> list[str]:
    """The fenced blocks of the README's section."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_a_model_is_brought_as_the_readme_says(system: RunningSystem, tmp_path: Path) -> None:
    street = fixture_file("images/bus.jpg")
    [written] = section_blocks("yaml")
    path = tmp_path / "my-yolo.yaml"
    path.write_text(written.replace("/models/best.pt", str(fixture_file("weights/yolov5n.pt"))))
    block: dict[str, Any] = yaml.safe_load(path.read_text())
    [queue] = block["args"]["queues"]
    add, curl = section_blocks("sh")[0].splitlines()
    assert add == f"make add MODEL={path.name}"

    system.launch("add", str(path))
    try:
        address = str(system.http.base_url).rstrip("/")
        command = curl.replace("your-frame.jpg", str(street)).replace("http://localhost:8082", address)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)
        by_http = [row["category_id"] for row in json.loads(done.stdout)["predictions"]]
        assert by_http.count("person") >= 3
        assert by_http.count("bus") == 1

        # The same picture without its JPEG: the queue carries pixels.
        frame = tmp_path / "street.png"
        PIL.Image.open(street).save(frame)
        system.redis.rpush(queue, job(frame, "street"))
        assert [row["category_id"] for row in answer_of(system, "street")] == by_http
    finally:
        system.launch("remove", block["name"])
