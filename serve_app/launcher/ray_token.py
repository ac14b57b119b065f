"""The token that guards Ray: whoever has it can run code, everybody else is refused. It is read where Ray reads it.

Ray would make a missing token itself, but readable by every user of the machine.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from serve_app.launcher.console import LaunchError

_TOKEN_BYTES = 32


def uses_token(environ: Mapping[str, str]) -> bool:
    """Whether calls to Ray must carry a token: as RAY_AUTH_MODE says, else, like Ray, if there is one."""
    mode = environ.get("RAY_AUTH_MODE", "").lower()
    return mode == "token" if mode else has_token(environ)


def token_place(environ: Mapping[str, str]) -> str:
    """Where the user finds the token that the dashboard asks for, in brackets; '' when it asks for none."""
    if not uses_token(environ):
        return ""
    return "  (token: RAY_AUTH_TOKEN)" if environ.get("RAY_AUTH_TOKEN") else f"  (token: {_path(environ)})"


def token_help() -> str:
    """What a user does who has no token."""
    return "set RAY_AUTH_TOKEN_PATH to a file with the cluster's token, or RAY_AUTH_TOKEN"


def has_token(environ: Mapping[str, str]) -> bool:
    """Whether there is a token to show to Ray."""
    return bool(environ.get("RAY_AUTH_TOKEN")) or _path(environ).exists()


def explicit_mode(environ: Mapping[str, str]) -> dict[str, str]:
    """RAY_AUTH_MODE as it is meant where it is not set, for every process that is started: some of Ray's own commands
    leave a token that is there unused when it is not set."""
    return {"RAY_AUTH_MODE": "token" if uses_token(environ) else "disabled"}


def ensure_token(environ: Mapping[str, str]) -> None:
    """Makes a token in Ray's default place, for its owner only, unless there is one or none is used.

    Raises LaunchError when it cannot be written.
    """
    path = _path(environ)
    if not uses_token(environ) or environ.get("RAY_AUTH_TOKEN") or path.exists():
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(_TOKEN_BYTES))
    except OSError as error:
        if path.exists():  # another launcher was faster
            return
        raise LaunchError(
            f"{path}: the token for Ray cannot be written ({error.strerror}); "
            "set RAY_AUTH_TOKEN_PATH to a file that can, or RAY_AUTH_TOKEN"
        ) from error


def auth_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """The HTTP header with the token; empty when none is used. Raises LaunchError when it cannot be read."""
    if not uses_token(environ):
        return {}
    token = environ.get("RAY_AUTH_TOKEN", "")
    if not token:
        try:
            token = _path(environ).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise LaunchError(f"{_path(environ)}: the token for Ray cannot be read: {error.strerror}") from error
    return {"Authorization": f"Bearer {token}"}


def _path(environ: Mapping[str, str]) -> Path:
    if environ.get("RAY_AUTH_TOKEN_PATH"):
        return Path(environ["RAY_AUTH_TOKEN_PATH"])
    try:
        return Path.home() / ".ray" / "auth_token"
    except RuntimeError:
        raise LaunchError(
            "this user has no home folder; set RAY_AUTH_TOKEN_PATH to a file for Ray's token, or HOME"
        ) from None
