"""Reads the command line, runs one command, and turns what goes wrong into an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from fathom_client.command import console
from fathom_client.command.arguments import parser
from fathom_client.command.bench import bench
from fathom_client.command.biigle import biigle
from fathom_client.command.console import UsageError, say_error
from fathom_client.command.inspect import inspect
from fathom_client.command.models import models
from fathom_client.command.predict import predict
from fathom_client.command.squidle import squidle
from fathom_client.command.tator import tator
from fathom_client.connection import AUTHORITY_VARIABLE
from fathom_client.errors import FathomError, InvalidRequest, ModelNotFound, NotAllowed, ServerNotReachable

COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "predict": predict,
    "models": models,
    "inspect": inspect,
    "bench": bench,
    "biigle": biigle,
    "squidle": squidle,
    "tator": tator,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 done, 1 something failed, 2 wrong usage, 3 the server cannot be
    reached, 130 interrupted."""
    console.tolerate_any_text()
    chosen = parser().parse_args(arguments)
    if getattr(chosen, "cacert", None):
        os.environ[AUTHORITY_VARIABLE] = chosen.cacert
    try:
        return COMMANDS[chosen.command](chosen)
    except (UsageError, ModelNotFound, NotAllowed, InvalidRequest, ValueError) as error:
        say_error(f"fathom {chosen.command}: {error}{_hint(error)}")
        return console.EXIT_USAGE
    except ServerNotReachable as error:
        say_error(f"fathom {chosen.command}: {error}")
        return console.EXIT_NOT_REACHABLE
    except BrokenPipeError:
        console.nobody_reads(sys.stdout)
        return console.EXIT_FAILED
    except (FathomError, OSError) as error:
        say_error(f"fathom {chosen.command}: {error}")
        return console.EXIT_FAILED
    except KeyboardInterrupt:
        say_error("interrupted")
        return console.EXIT_INTERRUPTED


def _hint(error: Exception) -> str:
    """What to do about it, where the command knows more than the server."""
    if isinstance(error, ModelNotFound):
        return "; `fathom models` lists the names"
    if isinstance(error, NotAllowed) and error.status == HTTPStatus.UNAUTHORIZED:
        return "; this command takes it from FATHOM_API_KEY"
    return ""
