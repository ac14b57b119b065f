"""The part of the time in which there was work."""

from deployments.serving.busy_time import BusyTime


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_share_is_of_the_time_since_it_was_last_asked() -> None:
    clock = Clock()
    busy = BusyTime(clock)
    assert busy.share() == 0
    clock.now_s += 6
    busy.note(2)
    clock.now_s += 1
    busy.note(1)
    clock.now_s += 1
    assert busy.share() == 0.25
    assert busy.seconds_idle == 0
    clock.now_s += 4
    busy.note(0)
    clock.now_s += 4
    assert busy.seconds_idle == 4
    assert busy.share() == 0.5
    clock.now_s += 4
    assert busy.share() == 0
    assert busy.seconds_idle == 8


def test_asked_twice_at_once_it_says_what_is_so_now() -> None:
    busy = BusyTime(Clock())
    busy.note(1)
    assert busy.share() == busy.share() == 1
