"""A server that asks for a key: the page asks its user, and keeps the key in its tab."""

from playwright.sync_api import BrowserContext, Page, expect

from tests.page.page_actions import STAR, box_of, choose_frame
from tests.page.page_server import FakeServer, success


def give(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use it").click()


def test_the_page_asks_for_a_key_and_goes_on_with_it(page: Page, root: str, fake: FakeServer) -> None:
    fake.key, fake.answer = "right", (200, success(STAR))
    page.goto(root)
    expect(page.get_by_role("alert")).to_have_text("This server asks for a key")
    expect(page.locator("#connection")).to_have_text("A key is needed")
    give(page, "wrong")
    expect(page.locator("#key-title")).to_have_text("This key is not valid")
    give(page, "kein Schl\u00fcssel")
    expect(page.locator("#key-title")).to_have_text("This key is not valid")
    give(page, "right")
    expect(page.locator("#connection")).to_have_text("Connected")
    expect(page.locator("#key")).to_be_hidden()
    choose_frame(page)
    expect(box_of(page, "Sea star")).to_be_visible()
    page.reload()
    expect(page.locator("#connection")).to_have_text("Connected")
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href").count("right") == 0


def test_a_key_that_is_revoked_is_asked_for_again(page: Page, root: str, fake: FakeServer) -> None:
    fake.key = "right"
    page.goto(root)
    give(page, "right")
    expect(page.locator("#connection")).to_have_text("Connected")
    fake.key = "newer"
    choose_frame(page)
    expect(page.locator("#key-title")).to_have_text("This key is not valid")
    expect(page.locator("#problem")).to_contain_text("This server asks for an API key.")


def test_another_tab_has_no_key(shared_context: BrowserContext, page: Page, root: str, fake: FakeServer) -> None:
    fake.key = "right"
    page.goto(root)
    give(page, "right")
    expect(page.locator("#connection")).to_have_text("Connected")
    other = shared_context.new_page()
    try:
        other.goto(root)
        expect(other.get_by_role("alert")).to_have_text("This server asks for a key")
    finally:
        other.close()


def test_a_server_that_asks_for_none_shows_no_form(page: Page, root: str) -> None:
    page.goto(root)
    expect(page.locator("#connection")).to_have_text("Connected")
    expect(page.locator("#key")).to_be_hidden()
