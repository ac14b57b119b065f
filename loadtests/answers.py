"""What is wrong with an answer, in words, or None. An answer counts only when it carries a list of predictions."""

from typing import Any

import orjson


def http_fault(status: int, body: bytes) -> str | None:
    """What is wrong with the answer of `POST /predictor/`."""
    answer = _parsed(body)
    if status != 200:
        detail = answer.get("detail") if isinstance(answer, dict) else None
        return f"status {status}: {detail or repr(body[:200])}"
    if not isinstance(answer, dict) or answer.get("success") is not True:
        return f"no success: {body[:200]!r}"
    return _rows_fault(answer.get("predictions"))


def redis_fault(answer: bytes) -> str | None:
    """What is wrong with the text under a job's id."""
    return _rows_fault(_parsed(answer))


def _rows_fault(rows: Any) -> str | None:
    if not isinstance(rows, list):
        return f"no list of predictions: {str(rows)[:200]}"
    for row in rows:
        if not isinstance(row, dict) or not row.get("category_id") or not row.get("scores"):
            return f"a prediction without category_id or scores: {str(row)[:200]}"
        if len(row.get("bbox", ())) != 4:
            return f"a prediction without a box of four numbers: {str(row)[:200]}"
    return None


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
