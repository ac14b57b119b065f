"""The watchdog tells what is stuck and a model that fails on everything, and nothing else."""

import pytest

from deployments.definition import STUCK_AFTER_S, UNHEALTHY_AFTER_BATCHES
from deployments.serving.watchdog import Watchdog


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_work_that_does_not_end_is_a_reason_and_work_that_ends_in_time_is_none() -> None:
    clock = Clock()
    watchdog = Watchdog(clock)
    with watchdog.during("the decoding of an image"):
        clock.now_s += STUCK_AFTER_S
        watchdog.check()
    clock.now_s += STUCK_AFTER_S
    watchdog.check()
    with watchdog.during("the decoding of an image"):
        clock.now_s += STUCK_AFTER_S + 1
        with pytest.raises(RuntimeError, match=r"the decoding of an image has taken more than 120 s .* replaced"):
            watchdog.check()


def test_the_limit_is_live() -> None:
    clock = Clock()
    watchdog = Watchdog(clock)
    with watchdog.during("a short step"):
        clock.now_s += 30
        assert watchdog.reason == ""
        watchdog.stuck_after_s = 20
        assert watchdog.reason == "a short step has taken more than 20 s and does not end"


def test_the_reason_stays_when_what_was_stuck_ends_after_all() -> None:
    clock = Clock()
    watchdog = Watchdog(clock)
    with watchdog.during("a step"):
        clock.now_s += STUCK_AFTER_S + 1
        assert watchdog.reason
    with pytest.raises(RuntimeError, match="a step"):
        watchdog.check()


def test_failures_of_different_images_in_a_row_are_the_model_s_fault() -> None:
    watchdog = Watchdog()
    for number in range(UNHEALTHY_AFTER_BATCHES - 1):
        watchdog.note_batch([number], is_inferred=False)
        watchdog.check()
    watchdog.note_batch(["one more"], is_inferred=False)
    with pytest.raises(RuntimeError, match=f"failed on {UNHEALTHY_AFTER_BATCHES} batches of different images"):
        watchdog.check()


def test_an_image_that_is_sent_again_and_again_is_no_fault_of_the_model() -> None:
    watchdog = Watchdog()
    for _ in range(10 * UNHEALTHY_AFTER_BATCHES):
        watchdog.note_batch(["poison"], is_inferred=False)
    watchdog.check()


def test_a_success_in_between_begins_the_count_anew() -> None:
    watchdog = Watchdog()
    for number in range(10 * UNHEALTHY_AFTER_BATCHES):
        watchdog.note_batch([number], is_inferred=False)
        if number % (UNHEALTHY_AFTER_BATCHES - 1) == 0:
            watchdog.note_batch([number], is_inferred=True)
    watchdog.check()
