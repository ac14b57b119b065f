"""Who changed the running system, and when: a line for each change in `audit.log` of the data folder."""

import json
import os
import pwd
import socket
from datetime import UTC, datetime
from pathlib import Path

from serve_app.launcher.console import say_error
from serve_app.launcher.processes.log_file import keep_small

FILE = "audit.log"
MAX_BYTES = 4 * 2**20


def note_change(folder: Path, command: str, **what: str | list[str]) -> None:
    """Writes down a change that Ray Serve has accepted. A disk that is full keeps nobody from a change."""
    path = folder / FILE
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    members = {"time": now, "user": _user(), "host": socket.gethostname(), "command": command, **what}
    try:
        keep_small(path, MAX_BYTES)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{json.dumps(members)}\n")
    except OSError as error:
        say_error(f"{path}: this change is not written down ({error.strerror})")


def _user() -> str:
    """The name of whoever runs the command, and behind sudo of whoever called it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    called_by = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo by {called_by})" if called_by else name
