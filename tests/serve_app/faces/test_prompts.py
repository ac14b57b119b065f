"""The prompts of the segmenting routes are read on the event loop, so they are bounded before they are read."""

import httpx
import pytest

from serve_app.faces.legacy.segmentation import MAX_PROMPT_VALUES
from tests.serve_app.conftest import FakeSystem


@pytest.mark.parametrize("unit", ["[],", "{},", "0,"])
async def test_very_many_values_in_the_prompts_are_refused(
    client: httpx.AsyncClient, system: FakeSystem, unit: str
) -> None:
    prompts = "[" + unit * (MAX_PROMPT_VALUES + 1) + "0]"
    answer = await client.post("/sam/", files={"file": b"a file"}, data={"data": prompts})
    assert answer.status_code == 422
    assert f"data has more than {MAX_PROMPT_VALUES} commas and opening brackets" in answer.json()["detail"]
    assert system.asked_external == []


async def test_prompts_that_are_too_deep_to_be_passed_on_are_refused(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    answer = await client.post("/sam/", files={"file": b"a file"}, data={"data": "[" * 1000 + "]" * 1000})
    assert answer.status_code == 422
    assert "data has more than 254 lists and objects within each other" in answer.json()["detail"]
    assert system.asked_external == []
