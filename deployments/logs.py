"""The log of our own code inside Ray Serve's replicas, and what Serve itself writes there.

All our code has one logger, OWN_LOGGER. With its switches for throughput Serve keeps up to 1,000 records in a buffer
that nothing writes when the replica ends, and makes records of what is written to stderr. That is for its own record
of every request; our lines are rare, are written at once, and from WARNING on told to the launcher too.
"""

import builtins
import contextlib
import logging
import logging.handlers
import sys
import time
from collections.abc import Callable
from typing import TextIO

SERVE_LOGGER = "ray.serve"
OWN_LOGGER = "ray.serve.fathom"
TOLD_LINES = 50
TOLD_PERIOD_S = 10.0
"""A replica tells the launcher at most TOLD_LINES in each TOLD_PERIOD_S; its own log has them all."""

REQUEST_ID = "request_id"
"""Attribute of a record: the ids of the requests that it concerns (`deployments.origin.about`). Serve writes it
before the text, and as a member of a line in JSON."""

_OVERWRITTEN = (REQUEST_ID, "route")
_TOLD_CHARACTERS = 2000
_FILTER = "log_access_log_filter"
"""Serve's own name of the filter that drops access records, put on a handler when nobody wants them."""


def set_up_logs() -> None:
    """Called inside a replica, before anything else. From then on every line of ours is in Serve's log of this
    replica when the call that logs returns, and so is every warning of the libraries that we use. Elsewhere it does
    nothing.
    """
    buffers = [one for one in _serve_handlers() if isinstance(one, logging.handlers.MemoryHandler)]
    if not buffers:  # Serve has not set up the log of a replica in this process
        return
    own, root = logging.getLogger(OWN_LOGGER), logging.getLogger()
    own.setLevel(logging.INFO)
    own.propagate = False
    at_once, to_launcher = AtOnce(), ToLauncher()
    own.handlers[:] = [at_once, to_launcher]
    if not any(isinstance(one, AtOnce) for one in root.handlers):
        # The level of the root is WARNING.
        root.addHandler(at_once)
        root.addHandler(to_launcher)
    for buffer in buffers:
        buffer.flushLevel = logging.WARNING
    # Serve makes INFO records of these, which nobody keeps: a thread's traceback would be lost. Its own print, with
    # which logging writes tracebacks, makes tuples of their lines.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    builtins.print = getattr(builtins.print, "__globals__", {}).get("buildin_print", builtins.print)
    make_no_unwanted_records()


def keep_quiet(*libraries: str) -> None:
    """Of what these say only warnings and errors are made."""
    for library in libraries:
        logging.getLogger(library).setLevel(logging.WARNING)


def make_no_unwanted_records() -> None:
    """Where the replica's log has no access records, Serve's INFO records are not even made: for small requests that
    is a tenth of all work."""
    serve = logging.getLogger(SERVE_LOGGER)
    filters = [[getattr(one, "__name__", "") for one in handler.filters] for handler in serve.handlers]
    if filters and all(_FILTER in names for names in filters):
        serve.setLevel(logging.WARNING)


class AtOnce(logging.Handler):
    """Hands a record to the handlers that Serve has now, it may change them, and has them write all they hold."""

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102
        ours = {name: getattr(record, name) for name in _OVERWRITTEN if hasattr(record, name)}
        for handler in logging.getLogger(SERVE_LOGGER).handlers:
            if record.levelno >= handler.level and handler.filter(record):
                for name, value in ours.items():
                    # Serve has put what it knows of its own call there, which may have carried many requests.
                    setattr(record, name, value)
                with handler.lock or contextlib.nullcontext():
                    handler.emit(record)
                handler.flush()


class ToLauncher(logging.Handler):
    """Writes warnings and errors, one line each, to the replica's real stderr, from where Ray takes them to the
    launcher. Silent where Serve logs to stderr itself.

    stream: None for stderr.  now_s: a clock.
    """

    def __init__(self, stream: TextIO | None = None, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._now_s = now_s
        self._period_began_s = now_s()
        self._told = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102
        stream = self._stream or sys.__stderr__
        if stream is None or any(type(one) is logging.StreamHandler for one in _serve_handlers()):
            return
        if self._now_s() - self._period_began_s >= TOLD_PERIOD_S:
            self._period_began_s, self._told = self._now_s(), 0
        self._told += 1
        if self._told <= TOLD_LINES:
            self._write(stream, _line(record))
        elif self._told == TOLD_LINES + 1:
            self._write(stream, f"WARNING more lines within {TOLD_PERIOD_S:g} s stand in this replica's log only")

    def _write(self, stream: TextIO, line: str) -> None:
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError):
            self._told = 0  # nobody listens: the replica's own log has the line


def _serve_handlers() -> list[logging.Handler]:
    return logging.getLogger(SERVE_LOGGER).handlers


def _line(record: logging.LogRecord) -> str:
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text += f": {type(error).__name__}: {error}"
    ids = getattr(record, REQUEST_ID, "")
    named = f"{record.levelname} {ids} --" if ids else record.levelname
    return f"{named} {' '.join(text.split())}"[:_TOLD_CHARACTERS]
