"""A JSON text of too many values is known before it is read."""

import json

import pytest

from deployments.process.json_size import has_more_values


@pytest.mark.parametrize(
    ("value", "commas_and_brackets"),
    [(0, 0), ([], 1), ([1, 2, 3], 3), ({"a": {"b": 1}}, 2), ([[1, 2], [3, 4]], 6), ("a text", 0)],
)
def test_commas_and_opening_brackets_are_counted(value: object, commas_and_brackets: int) -> None:
    text = json.dumps(value).encode()
    assert not has_more_values(text, commas_and_brackets)
    assert commas_and_brackets == 0 or has_more_values(memoryview(text), commas_and_brackets - 1)


def test_a_long_text_is_counted_to_its_end() -> None:
    text = b" " * 3 * 2**20 + b"[" + b"0," * 9 + b"0]"
    assert not has_more_values(text, 10)
    assert has_more_values(text, 9)
