"""The command `inspect`: what a file of weights is, with a block that serves it."""

import os
from pathlib import Path

import yaml

from serve_app.launcher.console import say, say_error

SHOWN_LABELS = 20


def inspect_file(path: Path) -> int:
    """Prints what the file is, as comments, and a block for it, so that all of it is a file for `make add`; or why
    no family serves it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow starts threads and takes seconds: no other command needs it.
    from deployments.errors import ModelUnavailable
    from deployments.inspection import inspect

    try:
        found = inspect(path.absolute())
    except ModelUnavailable as error:
        say_error(error.message)
        return 1
    height, width = found.canvas_px
    more = len(found.labels) - SHOWN_LABELS
    shown = ", ".join(found.labels[:SHOWN_LABELS]) + (f", and {more} more" if more > 0 else "")
    say(f"# {path.name}: family {found.definition.family}, answers {found.answers}, input {width} x {height} px")
    say(f"# {len(found.labels)} classes: {shown}" if found.labels else "# no classes")
    say(yaml.safe_dump(found.block(), sort_keys=False, allow_unicode=True).rstrip("\n"))
    return 0
