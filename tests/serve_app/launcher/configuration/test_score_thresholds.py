"""Score thresholds by class in a configuration."""

from typing import Any

import pytest

from serve_app.launcher.configuration.validation import block_problems, system_problems
from tests.serve_app.launcher.blocks import DEPLOYMENT, model_block, put, system


def test_a_threshold_is_for_a_class_that_the_model_declares() -> None:
    block = model_block("m", labels=["Crab", "Fish"])
    block["deployments"][0]["user_config"] = {"score_threshold": {"*": 0.1, "crab": 0.5}}
    path = "deployments[0].user_config.score_threshold"
    assert block_problems(block) == [f"{path}: the model has no class 'crab'; did you mean 'Crab'?"]
    block["deployments"][0]["user_config"] = {"score_threshold": {"*": 0.1, "Crab": 0.5}}
    assert block_problems(block) == []


@pytest.mark.parametrize(
    ("given", "told"), [(2, "threshold: "), ({"Crab": 2}, "threshold.Crab: "), ("high", "threshold: ")]
)
def test_a_threshold_that_is_none_is_told_with_its_path(given: Any, told: str) -> None:
    path = f"{DEPLOYMENT}.user_config"
    [problem] = system_problems(put(system(), path, {"score_threshold": given}))
    assert f"user_config.score_{told}" in problem
    assert "mapping" not in problem
    assert "number." not in problem
