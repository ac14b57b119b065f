"""Counters are added up and handed over together."""

import asyncio

from deployments.process.buffered_counter import BufferedCounter


class Series:
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[int | float, dict[str, str]]] = []
        self.came = asyncio.Event()

    def inc(self, value: int | float, tags: dict[str, str]) -> None:
        self.given.append((value, tags))
        self.came.set()


async def test_what_came_meanwhile_is_handed_over_as_one_sum_a_series() -> None:
    series = Series()
    counting = BufferedCounter(series, ("outcome",), {"model": "m"})
    for _ in range(3):
        counting.add(2, "ok")
    counting.add(1, "overloaded")
    assert series.given == []
    async with asyncio.timeout(10):
        await series.came.wait()
    assert series.given == [(6, {"model": "m", "outcome": "ok"}), (1, {"model": "m", "outcome": "overloaded"})]


async def test_it_goes_on_after_a_hand_over() -> None:
    series = Series()
    counting = BufferedCounter(series, (), {})
    for amount in (1, 4):
        counting.add(amount)
        series.came.clear()
        async with asyncio.timeout(10):
            await series.came.wait()
    assert series.given == [(1, {}), (4, {})]


async def test_nothing_is_not_handed_over_and_parts_are_added_up() -> None:
    series = Series()
    counting = BufferedCounter(series, ("outcome",), {})
    counting.add(0, "none")
    counting.add(0.25, "some")
    counting.add(0.5, "some")
    async with asyncio.timeout(10):
        await series.came.wait()
    assert series.given == [(0.75, {"outcome": "some"})]
