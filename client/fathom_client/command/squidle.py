"""`fathom squidle`: suggests labels for the points of an annotation set of SQUIDLE+."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from fathom_client.client import Client
from fathom_client.command.arguments import options_of
from fathom_client.command.console import EXIT_DONE, EXIT_FAILED, UsageError, say, say_error
from fathom_client.errors import Problem
from fathom_client.retries import Retry

KEY = "SQUIDLE_API_KEY"


def squidle(chosen: argparse.Namespace) -> int:
    """Runs the command. Raises UsageError, ValueError and errors of the client."""
    try:
        from fathom_client.tools import squidle as tool
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is missing: pip install './client[squidle]' in a checkout of the server"
        ) from error
    key = os.environ.get(KEY)
    if not key:
        raise UsageError(f"{KEY} is missing: the key of a user of {chosen.host}")
    labels = _label_map(Path(chosen.label_map))
    asked = tool.Asked(chosen.model, chosen.patch_px, options_of(chosen))
    # sqapi tells of all that it does on standard output, which is for the result.
    with (
        Client(chosen.url, timeout_s=chosen.timeout, retry=Retry(total_s=chosen.retry_for)) as client,
        contextlib.redirect_stdout(sys.stderr),
    ):
        with contextlib.suppress(Problem):
            client.ready()
        model = client.model(chosen.model)
        name = f"{model.name} {model.revision or ''}".strip()
        told = {"host": chosen.host, "api_key": key, "annotator_info": name, "verbosity": 0}
        told |= {"prob_thresh": chosen.least_likelihood, "label_map_filters": labels}
        with tool.in_our_words(chosen.host):
            bot = tool.Bot(client, asked, say_error, **told)
            counts = tool.annotate(bot, chosen.annotation_set_id, chosen.again)
    if counts is None:
        say_error(f"annotation set {chosen.annotation_set_id} has suggestions of {name}; --again makes them anew")
        return EXIT_DONE
    say(json.dumps({**counts, "failed": len(bot.failed)}))
    return EXIT_FAILED if bot.failed else EXIT_DONE


def _label_map(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The file's labels of the model -> filters that find a label of SQUIDLE+. Raises UsageError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not found or not all(isinstance(one, list) for one in found.values()):
        raise UsageError(
            f'{path} must be JSON such as {{"Crab": [{{"name": "name", "op": "eq", "val": "Crabs"}}]}}: '
            "labels of the model, and filters that find the label of SQUIDLE+"
        )
    return found
