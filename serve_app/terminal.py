"""What the launcher says to a person: lines on the terminal, and the one error that carries such lines.

Knows nothing of Ray, of configuration or of processes.
"""

import sys
from collections.abc import Iterable


class LaunchError(Exception):
    """The launcher cannot do what it was asked. problems: one line each, fit for the person who asked."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


def say(text: str) -> None:
    """Writes one or more lines to standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Writes one or more lines to standard error at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
