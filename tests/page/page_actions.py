"""What the tests of the page do and look for, in their own words."""

from playwright.sync_api import FilePayload, Locator, Page

from tests.page.page_pictures import png
from tests.page.page_server import detection

STAR = detection("Sea star", 0.9, 40, 20, 200, 120)
FISH = detection("Fish", 0.5, 100, 50, 140, 80)
PNG_FILE: FilePayload = {"name": "dive.png", "mimeType": "image/png", "buffer": png()}


def choose_frame(page: Page, file: FilePayload = PNG_FILE) -> None:
    page.locator("#file").set_input_files(file)


def box_of(page: Page, label: str) -> Locator:
    return page.locator(".box").filter(has_text=label)


def row_of(page: Page, label: str) -> Locator:
    return page.locator(".row").filter(has_text=label)
