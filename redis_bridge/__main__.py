"""The operator's command: `python -m redis_bridge dead-letters list|show NUMBER|replay NUMBER|replay all`.

Exit status: 0 done, 1 nothing of that kind, 2 Redis cannot be reached or the command is wrong.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from redis_bridge.client.connection import REDIS_ERRORS
from redis_bridge.client.urls import blocking_client, without_password
from redis_bridge.settings import REDIS_URL_VARIABLE, BridgeSettings
from redis_bridge.store.dead_letters import DeadLetters, Letter, NoSuchLetter

DEFAULT_URL = "redis://127.0.0.1:6379/0"
_SHOWN_BYTES = 400


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    chosen = _parser().parse_args(arguments)
    url = chosen.url or os.environ.get(REDIS_URL_VARIABLE) or DEFAULT_URL
    try:
        with blocking_client(url, socket_timeout=60, socket_connect_timeout=5) as client:
            letters = DeadLetters(client, chosen.payloads)
            match chosen.command:
                case "list":
                    _list(letters)
                case "show":
                    _show(letters, letters.find(chosen.number))
                case _:
                    _replay(letters, chosen.number)
    except NoSuchLetter as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (*REDIS_ERRORS, ValueError) as error:
        sys.stderr.write(f"Redis at {without_password(url)} does not work: {error}\n")
        return 2
    return 0


def _list(letters: DeadLetters) -> None:
    for letter in letters.all():
        sys.stdout.write(f"{_line(letter)}\n")


def _show(letters: DeadLetters, letter: Letter) -> None:
    sys.stdout.write(f"{_line(letter)}\n")
    try:
        payload = letters.payload(letter)
    except NoSuchLetter as error:
        sys.stdout.write(f"{error}\n")
        return
    shown = _printable(payload[:_SHOWN_BYTES])
    rest_bytes = max(0, len(payload) - _SHOWN_BYTES)
    sys.stdout.write(f"{shown}\n" + (f"... and {rest_bytes} bytes more\n" if rest_bytes else ""))


def _printable(payload: bytes) -> str:
    """For a terminal, which a job's bytes must not steer."""
    text = payload.decode(errors="backslashreplace")
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def _replay(letters: DeadLetters, number: int | None) -> None:
    """One letter, or with None all whose job is kept, the oldest first."""
    gone = 0
    chosen = reversed(letters.all()) if number is None else [letters.find(number)]
    for letter in chosen:
        try:
            letters.replay(letter)
        except NoSuchLetter:
            if number is not None:
                raise
            gone += 1
            continue
        sys.stdout.write(f"dead letter {letter.number} is back in queue {letter.queue}\n")
    if gone:
        sys.stdout.write(f"{gone} more are only listed: their jobs are not kept any more\n")


def _line(letter: Letter) -> str:
    time = datetime.fromtimestamp(letter.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = [str(letter.number), time, letter.queue, letter.job_id or "-", f"{letter.size_bytes} B", letter.code]
    return "  ".join([*fields, letter.message])


def _number_or_all(text: str) -> int | None:
    return None if text == "all" else int(text)


def _parser() -> argparse.ArgumentParser:
    defaults = BridgeSettings()
    parser = argparse.ArgumentParser(prog="python -m redis_bridge", description="Tools of the Redis bridge.")
    things = parser.add_subparsers(dest="thing", required=True)
    letters = things.add_parser("dead-letters", help="jobs that were given up")
    letters.add_argument("--url", help=f"address of Redis (default: {REDIS_URL_VARIABLE}, or {DEFAULT_URL})")
    letters.add_argument(
        "--payloads",
        type=int,
        default=defaults.dead_letter_payloads,
        help="the bridges' setting dead_letter_payloads (default: %(default)s)",
    )
    commands = letters.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="one line for each, newest first")
    show = commands.add_parser("show", help="one letter, and the beginning of its job")
    show.add_argument("number", type=int)
    replay = commands.add_parser("replay", help="puts jobs back into their queues, as new ones")
    replay.add_argument("number", type=_number_or_all, metavar="NUMBER|all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
