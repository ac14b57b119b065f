"""What the door knows of its own work: counts, rates and the last error of each model."""

import pytest

from deployments.errors import InvalidImage, Overloaded
from deployments.prediction import Opaque, Outcome
from serve_app.activity import Activity

DONE = Opaque(b"{}", "model")


async def outcome_of(outcome: Outcome) -> Outcome:
    return outcome


async def test_answers_are_counted_and_averaged_over_a_minute() -> None:
    now_s = 1000.0
    activity = Activity(lambda: now_s)
    for _ in range(6):
        await activity.watched("model", outcome_of(DONE))
    now_s += 30
    await activity.watched("model", outcome_of(DONE))
    known = activity.of("model")
    assert (known.answered, known.failed, known.in_work) == (7, 0, 0)
    assert known.images_per_s(now_s) == pytest.approx(7 / 60)
    assert known.images_per_s(now_s + 31) == pytest.approx(1 / 60)
    now_s += 3600
    await activity.watched("model", outcome_of(DONE))
    assert known.images_per_s(now_s) == pytest.approx(1 / 60)


async def test_the_last_error_is_kept_unless_it_was_the_clients() -> None:
    activity = Activity()
    await activity.watched("model", outcome_of(Overloaded("128 images wait")))
    await activity.watched("model", outcome_of(InvalidImage("no image")))
    known = activity.of("model")
    assert (known.answered, known.failed) == (0, 1)
    assert known.last_error is not None
    assert (known.last_error.code, known.last_error.detail) == ("overloaded", "128 images wait")
    assert known.last_error.at.endswith("+00:00")


async def test_an_error_that_is_raised_counts_too() -> None:
    async def refuse() -> Outcome:
        raise Overloaded("no room")

    activity = Activity()
    with pytest.raises(Overloaded):
        await activity.watched("model", refuse())
    assert (activity.of("model").failed, activity.of("model").in_work) == (1, 0)


async def test_models_that_are_gone_are_forgotten() -> None:
    activity = Activity()
    await activity.watched("gone", outcome_of(DONE))
    activity.of("busy").in_work = 1
    activity.forget_others(["kept"])
    assert activity.of("gone").answered == 0
    assert activity.of("busy").in_work == 1
