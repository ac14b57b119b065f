"""Threads of a replica: its own processors, or whatever is free."""

from pathlib import Path

import pytest

from deployments.runtimes.cores import MOST_SHARED_THREADS, threads_for, usable_cores


def test_whole_processors_are_used_and_no_others() -> None:
    assert threads_for(1) == 1
    assert threads_for(4.5) == 4


def test_a_share_computes_on_what_is_free() -> None:
    assert threads_for(0.5) == threads_for(0) == min(usable_cores(), MOST_SHARED_THREADS)


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("nonsense", None)]
)
def test_a_container_s_quota_counts(tmp_path: Path, text: str, cores: int | None) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert usable_cores(quota) == (usable_cores(tmp_path / "absent") if cores is None else cores)
