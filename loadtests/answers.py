"""Checks answers: each function returns the reason why an answer does not count, or None when it does.

An answer counts only if it carries a list of predictions.
"""

from typing import Any

import orjson


def http_reason(status: int, body: bytes) -> str | None:
    """Checks the answer of `POST /predictor/`."""
    answer = _parsed(body)
    if status != 200:
        detail = answer.get("detail") if isinstance(answer, dict) else None
        return f"status {status}: {detail or repr(body[:200])}"
    if not isinstance(answer, dict) or answer.get("success") is not True:
        return f"no success: {body[:200]!r}"
    return _rows_reason(answer.get("predictions"))


def redis_reason(answer: bytes) -> str | None:
    """Checks the answer under a job's id in Redis."""
    return _rows_reason(_parsed(answer))


def _rows_reason(rows: Any) -> str | None:
    if not isinstance(rows, list):
        return f"not a list of predictions: {str(rows)[:200]}"
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
