"""The policy: limits and waits that follow from how long batches took."""

import random
from collections.abc import Iterable

import pytest

from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy, Load


def after(
    policy: AdaptiveBatchPolicy,
    runs: Iterable[tuple[int, float]],
    idle_s: float = 0.0,
    peak: int = 100,
    present: int = 100,
) -> AdaptiveBatchPolicy:
    """The policy when it has seen these batches, each `size, run_s`."""
    for size, run_s in runs:
        policy.note_run(size, Load(run_s, idle_s, present, peak))
    return policy


def linear(each_s: float, fixed_s: float = 0.0, largest: int = 8, count: int = 200) -> list[tuple[int, float]]:
    chance = random.Random(7)
    sizes = [chance.randint(1, largest) for _ in range(count)]
    return [(size, fixed_s + each_s * size) for size in sizes]


def test_before_anything_ran_the_largest_batch_is_allowed_and_nothing_waits() -> None:
    policy = AdaptiveBatchPolicy(8)
    assert policy.limit(0) == 8
    assert policy.max_wait_s == 0


def test_the_cost_of_a_batch_is_found_from_batches_of_any_size() -> None:
    policy = after(AdaptiveBatchPolicy(16), linear(0.010, fixed_s=0.030))
    assert policy.run_s(1) == pytest.approx(0.040)
    assert policy.run_s(16) == pytest.approx(0.190)


def test_a_batch_and_the_one_before_it_fit_into_the_target() -> None:
    assert after(AdaptiveBatchPolicy(8, target_s=0.11), linear(0.010)).limit(0) == 5
    assert after(AdaptiveBatchPolicy(8, target_s=0.01), linear(0.010)).limit(0) == 1
    assert after(AdaptiveBatchPolicy(8, target_s=5.0), linear(0.010)).limit(0) == 8


def test_without_a_target_a_batch_is_no_larger_than_pays_and_nothing_waits() -> None:
    processor = after(AdaptiveBatchPolicy(8), linear(0.014))
    assert (processor.limit(0), processor.limit(100)) == (1, 1)
    assert processor.max_wait_s == 0
    assert after(AdaptiveBatchPolicy(8), linear(0.014, fixed_s=0.001)).limit(0) == 2
    assert after(AdaptiveBatchPolicy(32), linear(0.003, fixed_s=0.010, largest=32)).limit(100) == 32


def test_without_a_target_batches_of_one_size_leave_the_largest_allowed() -> None:
    # From batches of one image nobody can tell whether two would cost less than twice as much.
    assert after(AdaptiveBatchPolicy(8), [(1, 0.014)] * 500).limit(0) == 8


def test_a_batch_that_pays_is_at_most_the_largest() -> None:
    assert after(AdaptiveBatchPolicy(6), linear(0.0, fixed_s=0.010, largest=6)).limit(0) == 6


def test_a_crowd_gets_the_largest_batch() -> None:
    policy = after(AdaptiveBatchPolicy(8, target_s=0.07), linear(0.010))
    assert (policy.limit(5), policy.limit(6)) == (3, 8)


def test_a_change_of_speed_is_noticed() -> None:
    policy = after(AdaptiveBatchPolicy(8, target_s=0.11), linear(0.010))
    after(policy, linear(0.025))
    assert policy.limit(0) == 2


def test_batches_of_one_size_give_a_careful_limit_that_grows_with_what_is_learned() -> None:
    policy = after(AdaptiveBatchPolicy(32, target_s=0.1), [(1, 0.020)] * 50)
    assert policy.limit(0) == 2
    after(policy, [(2, 0.022)] * 50)
    assert policy.limit(0) > 8


def test_a_model_that_is_rarely_busy_has_no_patience() -> None:
    assert after(AdaptiveBatchPolicy(8, target_s=0.52), linear(0.050), idle_s=0.5).max_wait_s == 0


def test_a_busy_model_waits_as_long_as_the_target_allows() -> None:
    policy = after(AdaptiveBatchPolicy(8, target_s=0.52), linear(0.050))
    assert policy.limit(0) == 5
    assert policy.max_wait_s == pytest.approx(0.52 - 5 * 0.050)


def test_the_only_askers_are_never_made_to_wait_for_each_other() -> None:
    # Four clients in a closed loop: never more than four images at once, and a batch may have four.
    assert after(AdaptiveBatchPolicy(8, target_s=0.42), linear(0.050), peak=4, present=4).max_wait_s == 0
    assert after(AdaptiveBatchPolicy(8, target_s=0.42), linear(0.050), peak=4, present=3).max_wait_s == 0
    assert after(AdaptiveBatchPolicy(8, target_s=0.42), linear(0.050), peak=5).max_wait_s > 0


def test_askers_who_come_by_chance_are_waited_for_though_they_are_few() -> None:
    assert after(AdaptiveBatchPolicy(8, target_s=0.42), linear(0.050), peak=4, present=2).max_wait_s > 0


def test_noise_never_makes_a_cost_negative() -> None:
    chance = random.Random(3)
    policy = after(
        AdaptiveBatchPolicy(8, target_s=0.2), ((chance.randint(1, 8), chance.uniform(0.001, 0.1)) for _ in range(300))
    )
    assert 0 <= policy.run_s(0) <= policy.run_s(1) <= policy.run_s(8)
    assert 1 <= policy.limit(0) <= 8


def test_a_batch_beside_another_one_tells_nothing_of_its_cost() -> None:
    policy = after(AdaptiveBatchPolicy(8, target_s=0.11), linear(0.010))
    for _ in range(50):
        policy.note_run(8, Load(run_s=0.16, idle_s=0.0, present=20, peak=20), is_alone=False)
    assert policy.run_s(8) == pytest.approx(0.08)
    assert policy.max_wait_s > 0
