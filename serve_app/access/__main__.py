"""Makes an API key: `make key NAME=... SCOPES=predict`, or `python -m serve_app.access NAME --scopes predict`.

The key is printed once; the file gets its digest. Doors that run see the new key within a second.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from serve_app.access.guard import KEYS_FILE
from serve_app.access.key_ring import read_keys
from serve_app.access.keys import Key, KeyFileError, Scope, digest_of, entry_text, new_key, parse_keys


def main(arguments: Sequence[str] | None = None) -> int:
    """Adds one key to the file; returns the exit status: 0 done, 2 refused, and then nothing was changed."""
    chosen = _parser().parse_args(arguments)
    path = chosen.file or os.environ.get(KEYS_FILE)
    if not path:
        return _refuse(f"no file: set {KEYS_FILE}, or give --file (to make: ARGS='--file PATH')")
    if not chosen.file and not Path(path).is_absolute():
        return _refuse(f"{KEYS_FILE} must be an absolute path, as doors run elsewhere (got {path!r})")
    key = new_key()
    try:
        _add(Path(path), _entry(chosen, key))
    except KeyFileError as error:
        return _refuse(f"{path}: {error}")
    except FileNotFoundError:
        return _refuse(f"{path}: the folder {Path(path).parent} does not exist; make it first")
    except OSError as error:
        return _refuse(f"{path}: {error.strerror}")
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(f"{chosen.name} is in {path}; its key, above, is shown this once\n")
    return 0


def _entry(chosen: argparse.Namespace, key: str) -> str:
    """The new table, as the reader of the file accepts it."""
    given = {
        "name": chosen.name,
        "sha256": digest_of(key).hex(),
        "scopes": chosen.scopes.split(","),
        "requests_per_s": chosen.requests_per_s,
        "burst": chosen.burst,
        "concurrency": chosen.concurrency,
        "expires": _moment(chosen.expires),
    }
    try:
        made = Key.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise KeyFileError(
            "; ".join(f"{one['loc'][0] if one['loc'] else 'key'}: {one['msg']}" for one in details)
        ) from None
    if made.has_expired(datetime.now(UTC)):
        raise KeyFileError(f"--expires: {made.expires} is over, and the key would never count")
    return entry_text(made)


def _add(path: Path, entry: str) -> None:
    """Appends, in one piece: a door that reads meanwhile sees the file before or after."""
    before = b""
    if path.exists():
        read_keys(path)
        before = path.read_bytes()
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    addition = gap + entry.encode()
    parse_keys(before + addition)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(addition)


def _moment(text: str | None) -> object:
    if text is None:
        return None
    try:
        return tomllib.loads(f"expires = {text}")["expires"]
    except tomllib.TOMLDecodeError:
        raise KeyFileError(f"--expires: a day such as 2027-01-31, or a time with its offset (got {text!r})") from None


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve_app.access", description="Makes an API key.")
    parser.add_argument("name", help="whose key it is; it appears in logs")
    parser.add_argument("--scopes", required=True, help=f"with commas: {', '.join(Scope)}")
    parser.add_argument("--file", help=f"instead of {KEYS_FILE}")
    parser.add_argument("--requests-per-s", type=float, help="on average")
    parser.add_argument("--burst", type=int, help="requests at once after a pause")
    parser.add_argument("--concurrency", type=int, help="requests under way at the same time")
    parser.add_argument("--expires", help="its last day, in UTC, or a time with its offset")
    return parser


if __name__ == "__main__":
    sys.exit(main())
