"""Changes the running system for the HTTP door: `python -m serve_app.launcher.door_change`, once for each change.

The door starts it for a request of a key with the scope `admin`. In a process of its own the block of a stranger is
read and checked with all that a command has (Ray's schemas, every family, the token of the dashboard), of which the
door needs nothing else, and one that takes too long can be ended. Whoever calls has been let in already.

One JSON object comes on standard input: `noted`, what the log of changes says of who asked, and beside it either
`remove`, a name, or `add`, the text of a block, with `is_json`. One goes to standard output: `status`, that of the
HTTP answer, and `problems`, or `model` and `notes`.
"""

import json
import os
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from deployments.request import SHOWN_CHARACTERS
from deployments.text.nearest_name import nearest_of
from serve_app.launcher.app_status import Details
from serve_app.launcher.configuration.strangers_block import strangers_problems
from serve_app.launcher.configuration.validation import block_problems
from serve_app.launcher.configuration.yaml_document import refuse_bombs, without_anchors, yaml_in
from serve_app.launcher.console import LaunchError
from serve_app.launcher.model_changes import (
    Addition,
    NoSuchModelError,
    Removal,
    Started,
    TakenError,
    blocks_of,
    submit_added,
    submit_removed,
)

CATALOGUE = Path(__file__).resolve().parents[2] / "configs" / "fathomnet.yaml"
"""Found from everywhere: the door runs in a folder of Ray's."""

BY_NAME = "model"
"""The only key of what is no block, but names a model of the catalogue."""

Answer = dict[str, Any]


class InvalidBlockError(LaunchError):
    """What was sent is not a block that may be added over HTTP."""


def main() -> None:
    """Makes the change that standard input asks for, and says on standard output what became of it."""
    # What a library prints must not come between.
    out, sys.stdout = sys.stdout, sys.stderr
    json.dump(answer(json.load(sys.stdin), os.environ), out)


def answer(wanted: Mapping[str, Any], environ: Mapping[str, str]) -> Answer:
    """What became of the change that is wanted."""
    try:
        return _removed(wanted, environ) if "remove" in wanted else _added(wanted, environ)
    except InvalidBlockError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        problems = error.problems
    except NoSuchModelError as error:
        status, problems = HTTPStatus.NOT_FOUND, error.problems
    except TakenError as error:
        status, problems = HTTPStatus.CONFLICT, error.problems
    except LaunchError as error:
        status, problems = HTTPStatus.SERVICE_UNAVAILABLE, error.problems
    return {"status": int(status), "problems": list(problems)}


def _added(wanted: Mapping[str, Any], environ: Mapping[str, str]) -> Answer:
    block, is_of_catalogue = _block_in(wanted["add"], wanted["is_json"])
    # It names no file of a node, and its nodes were looked at when the door was put there.
    addition = Addition(block, leaves_queues=is_of_catalogue, needs_look=False, noted=wanted["noted"])
    started = Started.of(environ)
    with started.dashboard() as system:
        submitted = submit_added(addition, started, system)
    return {"status": int(HTTPStatus.ACCEPTED), "model": addition.name, "notes": list(submitted.left)}


def _removed(wanted: Mapping[str, Any], environ: Mapping[str, str]) -> Answer:
    started = Started.of(environ)
    with started.dashboard() as system:
        submit_removed(Removal(wanted["remove"], keeps_needed=True, noted=wanted["noted"]), started, system)
    return {"status": int(HTTPStatus.ACCEPTED), "model": wanted["remove"], "notes": []}


def _block_in(text: str, is_json: bool) -> tuple[Details, bool]:
    """A block that is valid by itself, and whether it is one of the catalogue. Raises InvalidBlockError."""
    try:
        sent = _sent_in(text, is_json)
        if isinstance(sent, dict) and sent.keys() == {BY_NAME}:
            return _catalogue_block(sent[BY_NAME]), True
        problems = list(strangers_problems(sent)) or block_problems(sent)
    except RecursionError:
        raise InvalidBlockError("the block is nested too deeply") from None
    if problems:
        raise InvalidBlockError(problems)
    return dict(sent), False


def _catalogue_block(name: object) -> Details:
    known = blocks_of(CATALOGUE)
    if not isinstance(name, str) or name not in known:
        shown = str(name)[:SHOWN_CHARACTERS]
        raise InvalidBlockError(f"{BY_NAME}: {shown!r} is not in {CATALOGUE.name}; {nearest_of(shown, known)}")
    return known[name]


def _sent_in(text: str, is_json: bool) -> Any:
    try:
        sent = json.loads(text, object_pairs_hook=_without_duplicates) if is_json else _read_yaml(text)
        # It travels as JSON in UTF-8, which has no dates, no infinities and no half characters.
        json.dumps(sent, allow_nan=False, ensure_ascii=False).encode()
    except LaunchError as error:
        raise InvalidBlockError(error.problems) from None
    except (TypeError, ValueError) as error:
        raise InvalidBlockError(f"the block cannot be read: {error}") from None
    return sent


def _read_yaml(text: str) -> Any:
    refuse_bombs(text, "the block")
    return without_anchors(yaml_in(text, "the block"))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key[:SHOWN_CHARACTERS]!r}")
        found[key] = value
    return found


if __name__ == "__main__":
    main()
