"""Our own system is measured under the shipped configuration with another model."""

from pathlib import Path

import pytest

from benchmarks.models import MODELS, bench_model
from benchmarks.systems.ours import bench_config
from serve_app.launcher.configuration.validation import system_problems

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", MODELS)
def test_our_configuration_is_the_shipped_one_with_another_model(name: str) -> None:
    document = bench_config(ROOT / "configs" / "app.yaml", bench_model(name, {"m1": 8, "m50": 9}))
    assert system_problems(document) == []
    assert [app["name"] for app in document["applications"]] == [name, "api", "bridge", "valkey"]
    assert document["applications"][0]["args"]["queues"] == [f"image_queue_{name}"]


def test_a_configuration_without_models_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("applications: []\n", "utf-8")
    with pytest.raises(ValueError, match="no application with import_path"):
        bench_config(path, bench_model("m0", {}))
