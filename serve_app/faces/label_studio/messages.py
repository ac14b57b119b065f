"""The JSON that Label Studio sends, read within limits."""

import asyncio
from collections.abc import Mapping
from typing import Any

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.json_bodies import json_object
from serve_app.bodies.option_values import shown

MAX_VALUES = 500_000
"""Commas and opening brackets of a body: a brush stroke that a task comes with has thousands of numbers."""

MAX_TASKS = 500
"""Of one request. Label Studio sends as many as a person has selected."""

MAX_PROJECT_CHARACTERS = 100

_IN_THREAD_FROM_BYTES = 2**20
_READING_TAKES = 4
"""Bytes of memory for each byte of the body."""

SETUP = frozenset({"project", "schema", "hostname", "access_token", "extra_params", "model_version", "force_reload"})
"""Members of /setup. `model_version` and `force_reload` choose among versions of a model, of which there is one."""

PREDICT = frozenset({"tasks", "project", "label_config", "params", "model_version", "force_reload", "try_fetch"})
"""Members of /predict. The last three are about models that are trained on the way."""

PARAMS = frozenset({"login", "password", "context", "hostname", "access_token"})
"""Members of `params`. `login` and `password` are the project's for its data, which Label Studio always sends; hosts
on the web get nothing from us. `hostname` and `access_token` are as in /setup, for programs that never call it."""


async def read_object(body: bytes, held: HeldBytes) -> dict[str, Any]:
    """The members of a body. Raises InvalidRequest."""
    held.grow(_READING_TAKES * len(body))
    if len(body) < _IN_THREAD_FROM_BYTES:
        return json_object(body, most_values=MAX_VALUES)
    return await asyncio.to_thread(json_object, body, most_values=MAX_VALUES)


def check_members(members: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    """Raises InvalidRequest for a member that is not among the known ones."""
    for name in members:
        if name not in known:
            raise InvalidRequest(f"unknown member {where + name[:100]!r}; {nearest_of(name, known)}")


def text_in(members: Mapping[str, Any], name: str, longest: int) -> str:
    """The text of a member; '' where it is missing or null. Raises InvalidRequest."""
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidRequest(f"{name} must be text of at most {longest} characters, got {shown(value)}")
    return value.strip()


def project_in(members: Mapping[str, Any]) -> str:
    """The project of a request, such as `1.1699999999`. Raises InvalidRequest."""
    value = members.get("project")
    # Programs other than Label Studio itself send its number.
    return str(value) if isinstance(value, int) else text_in(members, "project", MAX_PROJECT_CHARACTERS)


def tasks_in(members: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tasks, each with an object `data`. Raises InvalidRequest."""
    tasks = members.get("tasks")
    if not isinstance(tasks, list) or not 1 <= len(tasks) <= MAX_TASKS:
        what = f"{len(tasks)} of them" if isinstance(tasks, list) else shown(tasks)
        raise InvalidRequest(f"tasks must be a list of 1 to {MAX_TASKS} tasks, got {what}")
    for index, task in enumerate(tasks):
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise InvalidRequest(f"tasks[{index}] must be an object with an object data, got {shown(task)}")
    return tasks


def params_in(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `params` of a request. Raises InvalidRequest."""
    params = members.get("params")
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise InvalidRequest(f"params must be an object, got {shown(params)}")
    check_members(params, PARAMS, "params.")
    if params.get("context"):
        raise InvalidRequest(
            "params.context has no effect: this model takes no prompts; turn off interactive preannotations for it"
        )
    return params
