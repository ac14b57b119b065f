"""A real browser and a fake server for the tests of the page. The tests are skipped where no Chromium is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.page.page_server import FakeServer, serving

# The headless build first: it starts faster and does the same.
CHROMIUM_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
FLAGS = (
    "--no-sandbox",  # containers and CI run as root, where the sandbox does not start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 20_000
expect.set_options(timeout=WAIT_MS)


# One for each module: the driver keeps an event loop in this thread, which the tests of others must not meet.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def shared_context(browser: Browser) -> Iterator[BrowserContext]:
    """One set of browser settings for many tests, as a new one starts new processes."""
    with new_context(browser) as context:
        yield context


@pytest.fixture
def own_context(browser: Browser) -> Iterator[BrowserContext]:
    """For a test that changes permissions, the clock or the network."""
    with new_context(browser) as context:
        yield context


def new_context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    context.set_default_timeout(WAIT_MS)
    return context


@pytest.fixture
def page(shared_context: BrowserContext) -> Iterator[Page]:
    with checked_page(shared_context) as page:
        yield page


@pytest.fixture
def own_page(own_context: BrowserContext) -> Iterator[Page]:
    with checked_page(own_context) as page:
        yield page


@contextmanager
def checked_page(context: BrowserContext) -> Iterator[Page]:
    """A page; fails the test when the page's own code failed or broke the security policy."""
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda told: failures.append(told.text) if "Policy" in told.text else None)
    yield page
    page.close()
    assert failures == []


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
def root(fake: FakeServer) -> Iterator[str]:
    with serving(fake) as url:
        yield url
