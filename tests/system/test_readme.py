"""The first thing that a reader of the README does gives what the README says."""

import json
import re
import subprocess

import pytest

from tests.system.conftest import ROOT, RunningSystem

pytestmark = pytest.mark.beside_others


def test_the_curl_of_the_first_screen_gives_the_answer_below_it(system: RunningSystem) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [curl] = re.findall(r"```sh\n(curl .*)\n```\n\n```json", text)
    shown = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    command = curl.replace("http://localhost:8082", str(system.http.base_url).rstrip("/"))
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)

    rows, shown_rows = answer.pop("predictions"), shown.pop("predictions")
    assert answer == shown
    assert [row["category_id"] for row in rows] == [row["category_id"] for row in shown_rows]
    for row, shown_row in zip(rows, shown_rows, strict=True):
        assert row["scores"] == pytest.approx(shown_row["scores"], abs=0.01)
        assert row["bbox"] == pytest.approx(shown_row["bbox"], abs=0.5)
