"""The bare model's limit: its depth, its setups, and the pipeline that is measured."""

from pathlib import Path

import psutil
import pytest

from benchmarks.limit.calibration import find_depth
from benchmarks.limit.limit import BATCHES, BEST, Crew, Setup, best_setups, crews, every_setup, measure_limit
from benchmarks.limit.pipeline import Pipeline
from benchmarks.load.correctness import mistakes
from benchmarks.models import bench_model
from benchmarks.sample_images import sample_image
from tests.benchmarks.command_lines import command_of


def test_the_depth_is_found_where_time_is_proportional() -> None:
    assert find_depth(lambda depth: 2.0 + 0.75 * depth, 14.0) == 16
    with pytest.raises(ValueError, match="is the machine busy"):
        find_depth(lambda depth: 20.0 - depth, 14.0)


def test_the_depth_is_corrected_where_time_is_not_quite_proportional() -> None:
    found = find_depth(lambda depth: 2.0 + 0.5 * depth + 0.01 * depth**2, 30.0)
    assert 2.0 + 0.5 * found + 0.01 * found**2 == pytest.approx(30.0, rel=0.1)


def test_the_limit_keeps_its_fastest_setups_and_the_single_image() -> None:
    setups = every_setup([Path("a.bin"), Path("b.bin")])
    speed = {setup: float(setup.crew.processes * 10 + setup.batch) for setup in setups}
    kept = best_setups(setups, [{"images_per_s": speed[setup]} for setup in setups])
    for name in ("a", "b"):
        mine = [setup for setup in kept if setup.file.stem == name]
        assert max(speed.values()) in [speed[setup] for setup in mine]
        assert Setup(Crew(1, 1), 1, Path(f"{name}.bin")) in mine
        assert len(mine) <= BEST + 1 < len(setups) / 2


def test_the_pipeline_answers_as_legacy_clients_read_it() -> None:
    pipeline = Pipeline(bench_model("m0", {}).definition)
    small = sample_image("64px")
    ready = pipeline.prepare(small.upload.content)
    first, second = pipeline.answer([ready, pipeline.prepare_pixels(small.pixels())])
    assert first == second
    assert mistakes(first, second) == []
    assert first[0]["bbox"] == pytest.approx([6.4, 12.8, 32.0, 38.4])


def test_the_limit_tries_every_crew_and_batch_size(tmp_path: Path) -> None:
    file = tmp_path / "64px.bin"
    file.write_bytes(sample_image("64px").upload.content)
    setups = every_setup([file])
    rows = measure_limit(bench_model("m0", {}), setups, 0.02, tmp_path)
    tried = {(row["processes"], row["threads"], row["batch"]) for row in rows}
    assert tried == {(crew.processes, crew.threads, batch) for crew in crews() for batch in BATCHES}
    assert all(row["images_per_s"] > 0 and row["p50_ms"] > 0 and row["picture"] == "64px" for row in rows)
    assert [child for child in psutil.Process().children() if "limit_worker" in command_of(child)] == []
