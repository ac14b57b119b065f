"""`fathom tator`: a hosted algorithm of Tator, or a run from anywhere else, that writes localizations."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fathom_client.client import Client
from fathom_client.command.arguments import options_of
from fathom_client.command.console import EXIT_DONE, EXIT_FAILED, UsageError, say, say_error
from fathom_client.errors import FathomError, Problem, ServerNotReachable, WrongKindOfAnswer
from fathom_client.retries import Retry

if TYPE_CHECKING:
    from fathom_client.tools.tator import Task, Tator

SERVICE, TOKEN = "TATOR_API_SERVICE", "TATOR_AUTH_TOKEN"
PROJECT, MEDIA = "TATOR_PROJECT_ID", "TATOR_MEDIA_IDS"


def tator(chosen: argparse.Namespace) -> int:
    """Runs the command. Raises UsageError, ValueError and errors of the client that end the whole run."""
    try:
        from fathom_client.tools import tator as tool
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is missing: pip install './client[tator]' in a checkout of the server"
        ) from error
    told = os.environ
    host = chosen.host or tool.host_in(told.get(SERVICE))
    media = chosen.media_id or tool.numbers_in(told.get(MEDIA))
    project = chosen.project_id or int(_told(told, PROJECT, "--project-id"))
    if not host:
        raise UsageError(f"which Tator? --host or {SERVICE} says it")
    if not media:
        raise UsageError(f"which media? --media-id or {MEDIA} says it")
    task = tool.Task(
        model=chosen.model,
        project=project,
        type=chosen.type_id,
        version=chosen.version_id,
        every=chosen.every,
        label_attribute=chosen.label_attribute,
        score_attribute=chosen.score_attribute,
        options=options_of(chosen),
    )
    with Client(chosen.url, timeout_s=chosen.timeout, retry=Retry(total_s=chosen.retry_for)) as client:
        with contextlib.suppress(Problem):
            client.ready()
        client.model(task.model)
        there = tool.Tator(host, _told(told, TOKEN, ""), chosen.timeout)
        there.check(task)
        failed = sum(not _annotated(client, there, task, medium, chosen.dry_run) for medium in media)
    if failed:
        say_error(f"{failed} of {len(media)} media failed, or some frames of them")
    return EXIT_FAILED if failed else EXIT_DONE


def _annotated(client: Client, there: Tator, task: Task, medium: int, dry_run: bool) -> bool:
    """Whether all went well with this medium."""
    from fathom_client.tools.tator import CONCERNS_ALL, annotate

    def put(localizations: list[Mapping[str, Any]]) -> None:
        if not dry_run:
            there.write(task, localizations)
            return
        for one in localizations:
            say(json.dumps(one))

    try:
        count = annotate(client, there, task, medium, put)
    except (*CONCERNS_ALL, ServerNotReachable, WrongKindOfAnswer):
        raise
    except FathomError as error:
        say_error(f"media {medium}: {error}")
        return False
    what = "to write" if dry_run else "written"
    said = f"media {medium}: {count.written} boxes {what}"
    if count.frames_left_alone:
        said += f", {count.frames_left_alone} frames left alone that have some"
    if count.frames_failed:
        said += f", {count.frames_failed} frames failed"
    say_error(said)
    return not count.frames_failed


def _told(told: Mapping[str, str], variable: str, option: str) -> str:
    if not (value := told.get(variable, "")):
        raise UsageError(f"{option + ' or ' if option else ''}{variable} is missing")
    return value
