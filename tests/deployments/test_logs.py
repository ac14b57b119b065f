"""Our own lines are written at once and warnings reach the launcher; Serve's records are not made where nobody
wants them."""

import ast
import io
import json
import logging
import logging.handlers
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.logs import (
    OWN_LOGGER,
    SERVE_LOGGER,
    TOLD_LINES,
    TOLD_PERIOD_S,
    AtOnce,
    ToLauncher,
    make_no_unwanted_records,
)

ROOT = Path(__file__).parents[2]

REPLICA = """
import asyncio, logging, os, sys, threading
from ray.serve._private.common import ServeComponentType
from ray.serve._private.logging_utils import configure_component_logger
from ray.serve.schema import LoggingConfig
from deployments.process.replica_process import prepare_replica_process

# As Serve's replica does with its switches for throughput.
configure_component_logger(
    component_name="app_Model", component_id="r1", component_type=ServeComponentType.REPLICA,
    logging_config=LoggingConfig(logs_dir=sys.argv[1], enable_access_log=False, encoding=sys.argv[2]),
    max_bytes=10**6, backup_count=1, buffer_size=1000,
)
prepare_replica_process()
# A call of Serve, which may carry many of our requests.
from ray.serve.context import _RequestContext, _serve_request_context
_serve_request_context.set(_RequestContext(request_id="of-serve", route="/"))
own = logging.getLogger("ray.serve.fathom")
own.info("a line of ours")
own.warning("a warning of ours", extra={"request_id": "frame-1,frame-2", "route": "/predictor/"})
try:
    raise ValueError("the cause")
except ValueError:
    own.exception("an error of ours")
logging.getLogger("asyncio").warning("a warning of a library")
logging.getLogger("ray.serve").warning("a warning of Serve")

def fail():
    raise RuntimeError("in a thread")

thread = threading.Thread(target=fail)
thread.start()
thread.join()
# As Ray ends a replica: nothing is flushed.
os._exit(0)
"""


class Kept(logging.Handler):
    """Keeps what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def log_access_log_filter(record: logging.LogRecord) -> bool:
    """Serve's filter, by its name."""
    return not getattr(record, "serve_access_log", False)


@pytest.fixture
def kept() -> Iterator[Kept]:
    serve, own = logging.getLogger(SERVE_LOGGER), logging.getLogger(OWN_LOGGER)
    before = serve.level, serve.handlers[:], own.level
    serve.setLevel(logging.INFO)
    own.setLevel(logging.INFO)
    yield Kept()
    serve.setLevel(before[0])
    serve.handlers[:] = before[1]
    own.setLevel(before[2])


def stop_unwanted_on(handler: logging.Handler) -> None:
    # Here and not in the fixture: pytest adds handlers of its own before each test.
    logging.getLogger(SERVE_LOGGER).handlers[:] = [handler]
    make_no_unwanted_records()


def speak() -> None:
    logging.getLogger(SERVE_LOGGER).info("a request")
    logging.getLogger(OWN_LOGGER).info("our own")


def test_without_an_access_log_only_our_own_records_are_made(kept: Kept) -> None:
    kept.addFilter(log_access_log_filter)
    stop_unwanted_on(kept)
    speak()
    assert kept.messages == ["our own"]


def test_a_wanted_access_log_is_left_alone(kept: Kept) -> None:
    stop_unwanted_on(kept)
    speak()
    assert kept.messages == ["a request", "our own"]


def test_serve_still_names_its_filter_so() -> None:
    from ray.serve._private import logging_utils

    assert logging_utils.log_access_log_filter.__name__ == "log_access_log_filter"


def killed_replica(tmp_path: Path, encoding: str) -> tuple[str, str]:
    """What a replica that was killed has left in its log, and on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICA, str(tmp_path), encoding],
        cwd=ROOT,
        env={"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    [file] = tmp_path.glob("replica_*.log")
    return file.read_text(), done.stderr


def test_lines_in_json_have_the_ids_of_their_requests_as_a_member(tmp_path: Path) -> None:
    written, _ = killed_replica(tmp_path, "JSON")
    lines = {line["message"]: line for line in map(json.loads, written.splitlines())}
    assert lines["a warning of ours"]["request_id"] == "frame-1,frame-2"
    assert lines["a warning of ours"]["route"] == "/predictor/", "Serve has the prefix of the whole door there"
    assert lines["a line of ours"].get("request_id") == "of-serve"
    assert lines["a line of ours"]["deployment"] == "app_Model"
    assert "ValueError: the cause" in lines["an error of ours"]["exc_text"]


def test_every_line_of_a_replica_is_written_though_it_is_killed(tmp_path: Path) -> None:
    written, told = killed_replica(tmp_path, "TEXT")
    lines = ["a line of ours", "a warning of ours", "an error of ours", "a warning of a library"]
    lines.append("a warning of Serve")
    assert [line for line in lines if line not in written] == []
    assert "\nTraceback (most recent call last):\n" in written
    assert "\nValueError: the cause\n" in written
    # What goes to stderr is what the launcher gets to see: a line each, and a thread's last words.
    assert "WARNING frame-1,frame-2 -- a warning of ours\n" in told
    assert "r1 -- a line of ours\n" in written
    assert "r1 frame-1,frame-2 -- a warning of ours\n" in written
    assert "ERROR an error of ours: ValueError: the cause\n" in told
    assert "WARNING a warning of a library\n" in told
    assert "a line of ours" not in told
    assert "RuntimeError: in a thread" in told


def test_a_line_of_ours_comes_after_what_serve_still_held(kept: Kept) -> None:
    serve = logging.getLogger(SERVE_LOGGER)
    serve.handlers[:] = [logging.handlers.MemoryHandler(1000, target=kept)]
    serve.info("a request")
    assert kept.messages == []
    AtOnce().handle(logging.LogRecord("x", logging.INFO, "f.py", 1, "our own", None, None))
    assert kept.messages == ["a request", "our own"]


def warning(text: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, "f.py", 1, text, None, None)


def test_a_flood_of_warnings_reaches_the_launcher_as_a_few_lines(kept: Kept) -> None:
    logging.getLogger(SERVE_LOGGER).handlers[:] = [kept]
    stream, clock_s = io.StringIO(), [0.0]
    handler = ToLauncher(stream, lambda: clock_s[0])
    for number in range(1000):
        handler.handle(warning(f"letter {number}"))
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["WARNING letter 0", "WARNING letter 1"]
    assert len(lines) == TOLD_LINES + 1
    assert lines[-1] == "WARNING more lines within 10 s stand in this replica's log only"
    clock_s[0] = TOLD_PERIOD_S
    handler.handle(warning("later"))
    assert stream.getvalue().splitlines()[-1] == "WARNING later"


def test_what_others_put_into_a_warning_makes_one_short_line(kept: Kept) -> None:
    logging.getLogger(SERVE_LOGGER).handlers[:] = [kept]
    stream = io.StringIO()
    ToLauncher(stream).handle(warning("first\nsecond " + "x" * 10_000))
    [line] = stream.getvalue().splitlines()
    assert line.startswith("WARNING first second xxx")
    assert len(line) == 2000


def test_all_our_code_logs_by_the_one_logger_that_is_seen() -> None:
    found: list[str] = []
    for package in ("deployments", "redis_bridge", "serve_app"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name != "deployments/logs.py":
                found += [f"{name}:{line}" for line in unseen_lines(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == [], "these lines are kept by nobody: use OWN_LOGGER"


def unseen_lines(tree: ast.AST) -> list[int]:
    """Lines with another logger, a call of the root logger's, or a print, which Serve makes a record of that is
    then dropped."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        arguments = [ast.unparse(argument) for argument in node.args]
        is_other = called in ("logging.getLogger", "getLogger") and arguments != ["OWN_LOGGER"]
        is_root = called in {f"logging.{level}" for level in ("debug", "info", "warning", "error", "exception")}
        if is_other or is_root or called in ("print", "traceback.print_exc", "warnings.warn"):
            lines.append(node.lineno)
    return lines


def test_a_line_that_nobody_would_see_is_found() -> None:
    code = "logger = logging.getLogger(__name__)\nlogging.warning('x')\nprint('x')\nlogging.getLogger(OWN_LOGGER)\n"
    assert unseen_lines(ast.parse(code)) == [1, 2, 3]
