"""What counts as room for a second replica."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployments.process.spare_memory import copies, spare_memory_copies
from deployments.scaling.places import Tenant
from deployments.scaling.spare import spare_places
from deployments.scaling.view import View

DOOR = Tenant("api:Door", {"CPU": 0.25}, held=("a",))


def spare(
    cores: float, needs: dict[str, float], memory: float | None = 100.0, gpus: float = 0.0, held: int = 1
) -> int:
    model = Tenant("m", needs, held=("a",) * held, is_model=True, may_sleep=True)
    return spare_places(View({"a": {"CPU": cores, "GPU": gpus}}, (DOOR, model)), "m", memory)


@pytest.mark.parametrize(
    ("cores", "found"),
    [(2, 0), (8, 0), (16, 1), (32, 3)],  # a share of a core computes on up to eight
)
def test_a_replica_that_shares_cores_needs_eight_of_its_own_to_be_worth_it(cores: float, found: int) -> None:
    assert spare(cores, {"CPU": 0.5}) == found


@pytest.mark.parametrize(("cores", "found"), [(2, 0), (3, 1), (4, 2)])
def test_a_replica_with_whole_cores_needs_as_many(cores: float, found: int) -> None:
    """One replica and the door are there; what the door leaves of its core is none."""
    assert spare(cores, {"CPU": 1.0}) == found


def test_each_replica_of_a_model_has_a_gpu_to_itself() -> None:
    assert spare(16, {"CPU": 1.0, "GPU": 0.25}, gpus=1) == 0
    assert spare(16, {"CPU": 1.0, "GPU": 0.25}, gpus=4) == 3
    assert spare(16, {"CPU": 1.0, "GPU": 0.25}, gpus=4, held=4) == 0
    assert spare(16, {"CPU": 1.0, "GPU": 2.0}, gpus=4) == 1


def test_a_replica_that_waits_for_its_place_counts_as_one_that_has_it() -> None:
    gpus = Tenant("m", {"CPU": 1.0, "GPU": 0.25}, held=("a",), waiting=1, is_model=True, may_sleep=True)
    assert spare_places(View({"a": {"CPU": 16.0, "GPU": 2.0}}, (gpus,)), "m", None) == 0
    cores = replace(gpus, needs={"CPU": 0.5})
    assert spare_places(View({"a": {"CPU": 16.0}}, (cores,)), "m", None) == 0


def test_memory_must_hold_another_of_its_size_where_it_runs() -> None:
    assert spare(32, {"CPU": 1.0}, memory=2.9) == 2
    assert spare(32, {"CPU": 1.0}, memory=0.9) == 0
    assert spare(32, {"CPU": 1.0}, memory=None) == 30


def test_whoever_waits_has_the_room_first_and_a_model_that_is_gone_needs_none() -> None:
    model = Tenant("m", {"CPU": 1.0}, held=("a",), is_model=True, may_sleep=True)
    view = View({"a": {"CPU": 3.0}, "b": {"CPU": 1.0}}, (DOOR, model))
    assert spare_places(view, "m", None) == 2
    waits = replace(model, name="n", held=(), waiting=1)
    assert spare_places(replace(view, tenants=(*view.tenants, waits)), "m", None) == 1
    assert spare_places(view, "gone", None) == 0


def test_memory_is_that_of_the_container_where_it_has_less(tmp_path: Path) -> None:
    assert copies(10, 1000, 500, tmp_path) == 40
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert copies(10, 1000, 500, tmp_path) == 40
    (tmp_path / "memory.max").write_text("200\n")
    assert copies(10, 1000, 500, tmp_path) == 8
    assert copies(10, 1000, 50, tmp_path) == 3
    assert copies(10, 1000, 5, tmp_path) == 0
    assert spare_memory_copies() >= 0
