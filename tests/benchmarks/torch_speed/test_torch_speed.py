"""The comparison with PyTorch: both sides obey the same orders, and the fastest way of each is found."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.torch_speed.__main__ import HEADER, Choice, compare, side
from benchmarks.torch_speed.worker import timed

CHECKPOINT = Path(__file__).parents[2] / "deployments" / "families" / "golden" / "yolov8-first.pt"

COUNTER = """
import sys
from benchmarks.torch_speed.worker import claimed_output, obey
answers = claimed_output()
print("a library greets")
obey(answers, ["slow", "fast"], lambda variant, batch: lambda: sum(range(300_000 if variant == "slow" else 3000)))
"""
"""A worker whose variants differ a hundredfold, and whose batches cost the same whatever their size."""


@pytest.mark.alone
def test_the_fastest_variant_and_batch_are_kept() -> None:
    with side([sys.executable, "-c", COUNTER], {}) as worker:
        assert worker.variants == ["slow", "fast"]
        assert worker.best([1, 8], seconds=0.02) == Choice("fast", 8)
        assert replace(worker, clock="cpu").best([1, 8], seconds=0.02) == Choice("fast", 8)
        score = worker.measure(Choice("slow", 4), seconds=0.02)
    assert score.images_s > 0
    assert score.cpu_ms > 0
    assert score.best_ms > 0
    assert worker.process.poll() is not None


def test_a_worker_that_has_ended_is_told() -> None:
    with pytest.raises(RuntimeError, match="ended with status 7"), side([sys.executable, "-c", "exit(7)"], {}):
        pass


def test_a_batch_is_run_at_least_once_and_counted_in_images() -> None:
    runs: list[None] = []
    answer = timed(lambda: runs.append(None), batch=8, seconds=0)
    assert answer["images"] == 8 * (len(runs) - 2)
    assert answer["images"] >= 8


def test_a_row_has_what_the_table_s_head_says(tmp_path: Path) -> None:
    # In place of an environment with PyTorch, a program that starts the counter whatever it is asked for.
    fake = tmp_path / "python"
    fake.write_text(f"#!{sys.executable}\n{COUNTER}")
    fake.chmod(0o755)
    options = argparse.Namespace(
        torch_python=fake, threads=1, clock="cpu", precision="float32", rounds=2, seconds=0.02
    )
    row = compare("yolov8n", CHECKPOINT, options)
    assert row.startswith("| yolov8n |")
    assert row.count("|") == HEADER.splitlines()[0].count("|")
    assert "fast |" in row
