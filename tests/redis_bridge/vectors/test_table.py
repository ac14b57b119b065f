"""The search by brute force finds what a plain sort of all cosine distances finds."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import DeadlineExceeded
from redis_bridge.vectors import table
from redis_bridge.vectors.table import VectorTable

SOON_S = time.monotonic() + 3600


def random_rows(count: int, dimension: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def names_of(count: int) -> list[tuple[str, str]]:
    return [(f"label-{number % 7}", str(number)) for number in range(count)]


def filled(rows: NDArray[np.float32]) -> VectorTable:
    found = VectorTable(rows.shape[1])
    found.put(names_of(len(rows)), rows)
    return found


def sorted_distances(rows: NDArray[np.float32], query: NDArray[np.float32]) -> list[tuple[float, int]]:
    """All of them, by the definition of the cosine, in float64."""
    exact, asked = rows.astype(np.float64), query.astype(np.float64)
    cosines = exact @ asked / np.linalg.norm(exact, axis=1) / np.linalg.norm(asked)
    return sorted((1 - cosine, number) for number, cosine in enumerate(cosines.tolist()))


@pytest.mark.parametrize("rows_at_once", [7, 100, 8192])
@pytest.mark.parametrize("most", [1, 5, 99, 100])
def test_the_nearest_are_those_of_a_plain_sort(rows_at_once: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS_AT_ONCE", rows_at_once)
    rows, queries = random_rows(321, 16, 1), random_rows(4, 16, 2)
    for query, found in zip(queries, filled(rows).nearest(queries, most, SOON_S), strict=True):
        right = sorted_distances(rows, query)[:most]
        assert [one.id for one in found] == [str(number) for _, number in right]
        assert [one.distance for one in found] == pytest.approx([distance for distance, _ in right], abs=1e-5)


def test_a_vector_is_at_no_distance_from_itself_whatever_its_length_and_two_from_its_opposite() -> None:
    row = random_rows(1, 768, 3)
    kept = filled(np.concatenate([row, -row]))
    for query in (row, row * np.float32(1e15), row * np.float32(1e-15)):
        [[same, opposite]] = kept.nearest(query, 2, SOON_S)
        assert (same.id, opposite.id) == ("0", "1")
        assert same.distance == pytest.approx(0, abs=1e-6)
        assert opposite.distance == pytest.approx(2, abs=1e-6)


def test_fewer_are_found_where_there_are_fewer() -> None:
    assert [len(found) for found in filled(random_rows(3, 4, 4)).nearest(random_rows(2, 4, 5), 100, SOON_S)] == [3, 3]
    assert VectorTable(4).nearest(random_rows(2, 4, 5), 100, SOON_S) == [[], []]


def test_what_is_put_again_takes_the_place_of_what_was() -> None:
    kept = filled(random_rows(10, 4, 6))
    kept.put([("label-3", "3")], np.array([[0, 0, 0, 5]], np.float32))
    assert len(kept) == 10
    [[nearest]] = kept.nearest(np.array([[0, 0, 0, 1]], np.float32), 1, SOON_S)
    assert (nearest.label, nearest.id, nearest.distance) == ("label-3", "3", 0)


def test_those_at_the_same_distance_come_in_the_order_of_their_names() -> None:
    kept = VectorTable(2)
    kept.put([("b", "1"), ("a", "2"), ("a", "1")], np.ones((3, 2), np.float32))
    [found] = kept.nearest(np.ones((1, 2), np.float32), 3, SOON_S)
    assert [(one.label, one.id) for one in found] == [("a", "1"), ("a", "2"), ("b", "1")]


def test_a_search_ends_when_its_time_is_over() -> None:
    with pytest.raises(DeadlineExceeded, match="search of 3 vectors"):
        filled(random_rows(3, 4, 4)).nearest(random_rows(1, 4, 5), 1, time.monotonic() - 1)
