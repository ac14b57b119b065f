"""What the benchmark for a GPU configures, and how it tells what it found. A GPU itself is not needed here."""

from pathlib import Path

import pytest
import yaml

from benchmarks import gpu
from benchmarks.gpu import Row, base_with, configured, main, table
from benchmarks.systems.ours import bench_config
from serve_app.launcher.configuration.validation import load_system


def test_replicas_share_the_gpus_and_have_room_for_their_batches() -> None:
    [model, *_] = base_with(replicas=4, gpus=1, batch=32)["applications"]
    [deployment] = model["deployments"]
    assert deployment["autoscaling_config"]["min_replicas"] == deployment["autoscaling_config"]["max_replicas"] == 4
    assert deployment["ray_actor_options"]["num_gpus"] == 0.25
    assert deployment["max_ongoing_requests"] == 128


@pytest.mark.parametrize("batch", [1, 32])
def test_the_launcher_takes_what_is_configured(tmp_path: Path, batch: int) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(base_with(replicas=2, gpus=0, batch=batch)))
    file = tmp_path / "system.yaml"
    file.write_text(yaml.safe_dump(bench_config(base, configured(Path("configs/app.yaml"), "benthic-demo", batch))))
    assert load_system(file)["applications"][0]["args"].get("largest_batch") == batch


def test_the_models_are_in_the_catalogue() -> None:
    applications = yaml.safe_load(Path("configs/fathomnet.yaml").read_text())["applications"]
    assert set(gpu.MODELS) <= {application["name"] for application in applications}


def test_an_unknown_model_is_told() -> None:
    with pytest.raises(ValueError, match=r"configs/app\.yaml has no model megalodon"):
        configured(Path("configs/app.yaml"), "megalodon", 1)


def test_the_table_has_a_row_for_each_batch_size_and_the_share_that_survives() -> None:
    rows = [Row("sharktrack", 1, 400.0, {1: 200.0, 2: 300.0}), Row("sharktrack", 8, 1000.0, {1: 850.0})]
    assert table(rows).splitlines() == [
        "| model | batch | bare | HTTP, 1 replica | HTTP, 2 replicas | share |",
        "|---|---|---|---|---|---|",
        "| sharktrack | 1 | 400.0 | 200.0 | 300.0 | 0.75 |",
        "| sharktrack | 8 | 1000.0 | 850.0 |  | 0.85 |",
    ]


def test_a_machine_without_a_gpu_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    assert main([]) == 1
    assert "no NVIDIA GPU" in capsys.readouterr().out


def test_all_gpus_are_shared_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    assert gpu._parse([]).gpus == 2
