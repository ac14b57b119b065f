"""What holds for every test: programs that tests start can be interrupted."""

import signal


def pytest_configure() -> None:
    """A run in a shell's background starts with SIGINT ignored, and whatever a test starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
