"""What the face asks of whoever changes the running system, and what it is told."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from deployments.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change."""

    status: HTTPStatus
    """202 where it was submitted, else that of the problem."""

    model: str = ""
    """Its name, where it was submitted."""

    problems: tuple[str, ...] = ()
    """Why it was not, a line for each thing."""

    notes: tuple[str, ...] = ()
    """What was left out of it."""


ChangeModels = Callable[[Mapping[str, Any]], Awaitable[Changed]]
"""Makes one change: `{"noted": ...}` with `add` and `is_json`, or with `remove`, as `serve_app.launcher.door_change`
reads it. Raises ServingError."""


async def nobody_changes(wanted: Mapping[str, Any]) -> Changed:
    """Of a door that is not part of a running system."""
    del wanted
    raise ModelUnavailable("this door is not part of a system whose models could be changed")
