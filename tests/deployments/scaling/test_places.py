"""Who gives way to whom when there are fewer places than models."""

from dataclasses import replace

import pytest

from deployments.scaling.places import PLACE_PATIENCE_S, Eviction, Tenant, Usage, evictions

NOW_S = 1000.0
ONE_GPU = {"ship": {"CPU": 16.0, "GPU": 1.0}}
SHARE = {"CPU": 1.0, "GPU": 0.25}
LARGE = {"CPU": 1.0, "GPU": 0.5}


def awake(name: str, idle_s: float, busy: bool = False, awake_s: float = 500.0, machine: str = "ship") -> Tenant:
    usage = Usage(NOW_S - awake_s, NOW_S - idle_s, busy)
    return Tenant(name, SHARE, held=(machine,), is_model=True, may_sleep=True, usage=usage)


def waiting(name: str, since_s: float = 1.0) -> Tenant:
    return Tenant(name, SHARE, waits_since_s=NOW_S - since_s, is_model=True, may_sleep=True)


FULL = (awake("a", 40), awake("b", 90), awake("c", 60), awake("d", 50))


def names(*tenants: Tenant) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.waiting, one.names) for one in evictions(ONE_GPU, tenants, NOW_S)]


def test_the_one_that_was_idle_longest_gives_way() -> None:
    assert evictions(ONE_GPU, [*FULL, waiting("x")], NOW_S) == [Eviction("x", ("b",))]


def test_nobody_gives_way_while_there_is_room() -> None:
    assert names(*FULL[:3], waiting("x")) == []


def test_nobody_gives_way_twice_while_a_place_is_being_freed() -> None:
    leaving = replace(FULL[1], held=(), leaving=("ship",))
    assert names(FULL[0], *FULL[2:], leaving, waiting("x")) == []


def test_each_that_waits_gets_a_place_the_longest_waiting_first() -> None:
    assert names(*FULL, waiting("x", 1), waiting("y", 2)) == [("y", ("b",)), ("x", ("c",))]


@pytest.mark.parametrize(
    "kept",
    [
        replace(FULL[1], is_pinned=True),
        replace(FULL[1], least=1),
        replace(FULL[1], may_sleep=False),
        replace(FULL[1], min_stay_s=501.0),
        replace(FULL[1], usage=None),  # it is still being loaded
    ],
)
def test_who_stays(kept: Tenant) -> None:
    assert names(FULL[0], kept, *FULL[2:], waiting("x")) == [("x", ("c",))]


def test_a_busy_model_gives_way_only_when_nobody_is_idle_the_longest_awake_first() -> None:
    busy = [
        awake(name, 0, busy=True, awake_s=awake_s) for name, awake_s in zip("abcd", (50, 70, 60, 40), strict=True)
    ]
    assert names(*busy, waiting("x")) == [("x", ("b",))]
    assert names(*busy[:3], awake("e", 1), waiting("x")) == [("x", ("e",))]


def test_a_second_replica_gives_way_before_a_busy_model_and_after_an_idle_one() -> None:
    twice = replace(awake("a", 0, busy=True, awake_s=45.0), held=("ship", "ship"), is_pinned=True)
    busy = awake("b", 0, busy=True)
    assert names(twice, busy, awake("c", 0, busy=True), waiting("x")) == [("x", ("a",))]
    assert names(twice, busy, awake("c", 3), waiting("x")) == [("x", ("c",))]


def test_nothing_happens_for_a_second_replica_that_waits() -> None:
    assert names(*FULL, replace(awake("x", 0, busy=True, machine="elsewhere"), waits_since_s=900.0)) == []


def test_as_many_give_way_as_a_large_place_needs_and_no_more() -> None:
    assert names(*FULL, replace(waiting("x"), needs=LARGE)) == [("x", ("b", "c"))]
    large = replace(awake("e", 30), needs=LARGE)
    assert names(FULL[0], FULL[1], large, replace(waiting("x"), needs={"GPU": 0.75})) == [("x", ("b", "e"))]
    assert names(FULL[0], FULL[1], large, replace(waiting("x"), needs={"GPU": 2.0})) == []


def test_who_is_in_nobodys_way_stays() -> None:
    on_the_cpu = replace(awake("oldest", 400), needs={"CPU": 1.0})
    assert names(on_the_cpu, *FULL, waiting("x")) == [("x", ("b",))]


def test_of_several_machines_the_one_whose_models_are_worth_least() -> None:
    totals = {"one": {"GPU": 0.25}, "two": {"GPU": 0.25}}
    tenants = [
        awake("a", 40, machine="one"),
        awake("b", 90, machine="two"),
        replace(waiting("x"), needs={"GPU": 0.25}),
    ]
    assert evictions(totals, [replace(one, needs={"GPU": 0.25}) for one in tenants], NOW_S) == [Eviction("x", ("b",))]


def test_who_waits_too_long_beside_room_that_seems_to_be_there_is_helped() -> None:
    """Halves of two GPUs are one GPU for whoever only adds up, and none for a replica that needs one."""
    assert names(*FULL[:3], waiting("x", PLACE_PATIENCE_S - 1)) == []
    assert names(*FULL[:3], waiting("x", PLACE_PATIENCE_S + 1)) == [("x", ("b",))]
