"""Makes docs/pictures/page.png: the page of a running system after it has answered one sample frame.

    make serve                                                    # in another terminal
    .venv/bin/python docs/pictures/make_page.py http://localhost:8082

Drives the Chromium of this machine by Playwright, as the tests of the page do.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

HERE = Path(__file__).parent
FRAME = HERE.parents[1] / "deployments" / "families" / "demo" / "samples" / "seafloor-1.png"
PICTURE = HERE / "page.png"
MAX_BYTES = 400_000

CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
VIEWPORT: ViewportSize = {"width": 1240, "height": 800}
TIMEOUT_MS = 60_000
COLOURS = 192
"""A palette of this size makes a drawn frame a third as large as true colour, and no difference shows."""


def main(address: str) -> None:
    """Writes the picture. Raises RuntimeError without a Chromium, or when the picture is too large."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        raise RuntimeError(f"no Chromium found, looked for {', '.join(CHROMIUM_NAMES)}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(TIMEOUT_MS)
        screenshot = page_with_boxes(page, address)
        browser.close()
    PICTURE.write_bytes(as_palette(screenshot))
    size_bytes = PICTURE.stat().st_size
    if size_bytes > MAX_BYTES:
        raise RuntimeError(f"{PICTURE} has {size_bytes} bytes, the limit is {MAX_BYTES}")


def page_with_boxes(page: Page, address: str) -> bytes:
    """A screenshot (PNG) of the page at `address` when the boxes of the sample frame are shown."""
    page.goto(address)
    page.locator("#models input:checked").wait_for(state="attached")
    page.locator("#file").set_input_files(FRAME)
    page.locator(".box").first.wait_for()
    return page.screenshot()


def as_palette(screenshot: bytes) -> bytes:
    """The same picture as a PNG with a palette of COLOURS."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])
