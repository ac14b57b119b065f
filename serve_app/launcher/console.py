"""What the launcher says to its user: lines on the terminal, and the one error that carries such lines."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO


class LaunchError(Exception):
    """The launcher cannot do what it was asked. problems: one line each, written for the user."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


def say(text: str) -> None:
    """Writes one or more lines to standard output at once."""
    _write(sys.stdout, text)


def say_error(text: str) -> None:
    """Writes one or more lines to standard error at once."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    """A character that the terminal cannot show is written as its number, and nothing is raised when the terminal is
    gone: a system must not end because nobody listens."""
    if stream is None:  # closed before the start
        return
    try:
        try:
            stream.write(f"{text}\n")
        except UnicodeEncodeError as error:
            stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding) + "\n")
        stream.flush()
    except OSError:
        # What is left in the stream's buffer would raise again at the end of the process.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
