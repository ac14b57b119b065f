"""Finds the line that says what went wrong in the message of an error, which may hold whole tracebacks."""

import re

from deployments.errors import all_error_types
from deployments.process.shown_address import shown_text

MAX_REASON_CHARACTERS = 500

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STACK_LINE = re.compile(r"^[ \t]+File \S", re.MULTILINE)
_EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_]\w*\.)*(?P<kind>[A-Z]\w*): (?P<text>.+)$")
_OUR_ERROR_LINE = re.compile(r"^deployments\.errors\.\w+: ", re.MULTILINE)


def first_line(error: BaseException) -> str:
    """The first line of a library's error, cut to 200 characters; the kind of error where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def last_line(text: str, otherwise: str = "no reason given") -> str:
    """The last line of a process's output that is not blank, cut to `MAX_REASON_CHARACTERS`; `otherwise` where there
    is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:MAX_REASON_CHARACTERS] if lines else otherwise


def tells_error(message: str) -> bool:
    """Whether `message` tells of an error that was raised, and not only of what is waited for."""
    message = _COLOUR.sub("", message)
    return any(kind.search(message) for kind in (_STACK_LINE, _OUR_ERROR_LINE))


def cause_in(message: str) -> str:
    """The cause as 'KindOfError: text', in one line and without the secrets of addresses; the whole message where it
    has neither a traceback nor an error of ours, '' from ''."""
    message = _COLOUR.sub("", message).strip()
    if not tells_error(message):
        return shown_text(" ".join(message.split()))
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # A traceback ends with the exception as its outermost frame saw it.
    found = [match for line in lines if (match := _EXCEPTION_LINE.match(line))]
    return shown_text(f"{found[-1]['kind']}: {found[-1]['text']}" if found else lines[-1])


def reason_in(message: str) -> str:
    """The cause for clients: without the kind of error where it is one of ours, whose text is enough; at most
    `MAX_REASON_CHARACTERS`."""
    cause = cause_in(message)
    kind, _, text = cause.partition(": ")
    is_ours = any(kind == one.__name__ for one in all_error_types())
    return (text if is_ours else cause)[:MAX_REASON_CHARACTERS]
