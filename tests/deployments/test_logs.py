"""Serve's records are not made where nobody wants them; our own always are."""

import logging
from collections.abc import Iterator

import pytest

from deployments.logs import OWN_LOGGER, SERVE_LOGGER, make_no_unwanted_records


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
    serve = logging.getLogger(SERVE_LOGGER)
    before = serve.level, serve.handlers[:]
    serve.setLevel(logging.INFO)
    yield Kept()
    serve.setLevel(before[0])
    serve.handlers[:] = before[1]


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
