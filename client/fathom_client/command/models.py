"""`fathom models`: what the server has."""

from __future__ import annotations

import argparse
import json

from fathom_client.client import Client
from fathom_client.command.console import EXIT_DONE, say
from fathom_client.retries import Retry


def models(chosen: argparse.Namespace) -> int:
    """Prints a line for each model: its name, state, licence and description, and the reason where it is not well."""
    with Client(chosen.url, timeout_s=chosen.timeout, retry=Retry(attempts=2)) as client:
        found = client.models()
    if chosen.json:
        say(json.dumps([{**model.raw, "default": model.is_default} for model in found], indent=2))
        return EXIT_DONE
    rows = [("NAME", "STATE", "LICENCE", "DESCRIPTION")]
    for model in found:
        name = f"{model.name} (default)" if model.is_default else model.name
        rows.append((name, model.state, model.licence or "not stated", model.reason or model.description))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        say("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]).rstrip())
    return EXIT_DONE
