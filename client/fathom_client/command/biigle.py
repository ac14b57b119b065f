"""`fathom biigle`: annotates the images of a volume of BIIGLE."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from fathom_client.client import Client
from fathom_client.command.arguments import options_of
from fathom_client.command.console import EXIT_DONE, EXIT_FAILED, UsageError, say, say_error
from fathom_client.errors import Problem
from fathom_client.retries import Retry
from fathom_client.tools.biigle import CONCERNS_ONE, Biigle, Run

EMAIL, TOKEN = "BIIGLE_API_EMAIL", "BIIGLE_API_TOKEN"


def biigle(chosen: argparse.Namespace) -> int:
    """Runs the command. Raises UsageError, ValueError and errors of the client that end the whole run."""
    user = (os.environ.get(EMAIL, ""), os.environ.get(TOKEN, ""))
    if not all(user):
        raise UsageError(
            f"{EMAIL} and {TOKEN} are missing: an account of {chosen.host}, and a token from its settings"
        )
    label_map = _label_map(Path(chosen.label_map)) if chosen.label_map else {}
    with (
        Client(chosen.url, timeout_s=chosen.timeout, retry=Retry(total_s=chosen.retry_for)) as client,
        contextlib.closing(Biigle(chosen.host, user, chosen.timeout)) as there,
    ):
        with contextlib.suppress(Problem):
            client.ready()
        client.model(chosen.model)
        images = there.images(chosen.volume_id)
        named = there.labels(chosen.volume_id)
        run = Run(client, there, chosen.model, options_of(chosen), named, label_map)
        return _annotated(run, images, chosen.dry_run)


def _annotated(run: Run, images: dict[int, str], dry_run: bool) -> int:
    def put(annotations: list[dict[str, Any]]) -> None:
        if not dry_run:
            run.biigle.write(annotations)
            return
        for one in annotations:
            say(json.dumps(one))

    written, failed = 0, 0
    for number, name in images.items():
        try:
            written += run.annotate(number, put)
        except CONCERNS_ONE as error:
            failed += 1
            say_error(f"{name}: {error}")
    what = "to write" if dry_run else "written"
    say_error(f"{written} annotations {what}, in {len(images) - failed} of {len(images)} images")
    for label, times in run.passed_over.most_common():
        say_error(f"passed over: {times} of {label!r}, which is no label of the volume's projects")
    return EXIT_FAILED if failed else EXIT_DONE


def _label_map(path: Path) -> dict[str, int]:
    """Labels of the model -> numbers of labels. Raises UsageError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    are_numbers = isinstance(found, dict) and all(type(number) is int for number in found.values())
    if not are_numbers:
        raise UsageError(f'{path} must be JSON such as {{"Crab": 123}}: labels of the model, and numbers of labels')
    return dict(found)
