"""Failures are told in words, a wait can be cut short, and no answer is shown with another frame."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.page_actions import FISH, PNG_FILE, STAR, box_of, choose_frame
from tests.page.page_server import FakeServer, problem, success


@pytest.mark.parametrize(
    ("answer", "headers", "words"),
    [
        ((503, problem(503, "Overloaded", "64 images wait.")), {"Retry-After": "2"},
         "Overloaded 64 images wait. Try again in 2 s."),
        ((422, {"detail": [{"msg": "Field required"}]}), {}, "The server answered 422 Field required"),
        ((502, {}), {}, "The server answered 502 It gave no explanation."),
        ((200, {"success": False, "predictions": []}), {}, "The server answered 200 It gave no explanation."),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_words(
    page: Page, root: str, fake: FakeServer, answer: tuple[int, dict[str, object]],
    headers: dict[str, str], words: str,
) -> None:  # fmt: skip
    fake.answer, fake.headers = answer, headers
    page.goto(root)
    choose_frame(page)
    expect(page.get_by_role("alert")).to_have_text(words)
    expect(page.locator("#cancel")).to_be_hidden()
    fake.answer = (200, success(STAR))
    page.get_by_role("button", name="Detect with alpha").click()
    expect(box_of(page, "Sea star")).to_be_visible()
    expect(page.locator("#problem")).to_be_hidden()


def test_a_frame_that_comes_before_the_models_waits_for_them(page: Page, root: str, fake: FakeServer) -> None:
    fake.listing.clear()
    fake.answer = (200, success(STAR))
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#caption")).to_contain_text("dive.png")
    fake.listing.set()
    expect(box_of(page, "Sea star")).to_be_visible()


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_a_wait_can_be_cancelled(page: Page, root: str, fake: FakeServer, how: str) -> None:
    fake.answering.clear()
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#status")).to_have_text("Asking alpha")
    expect(page.locator("#frame")).to_have_attribute("aria-busy", "true")
    if how == "button":
        page.get_by_role("button", name="Cancel").click()
    else:
        page.keyboard.press(how)
    expect(page.locator("#status")).to_have_text("Cancelled.")
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#frame")).to_have_attribute("aria-busy", "false")


def test_a_newer_frame_is_never_shown_with_the_answer_for_an_older_one(
    page: Page, root: str, fake: FakeServer
) -> None:
    fake.answering.clear()
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#status")).to_have_text("Asking alpha")
    fake.answer = (200, success(FISH))
    with page.expect_request("**/predictor/"):
        choose_frame(page, {**PNG_FILE, "name": "newer.png"})
    fake.answering.set()
    expect(page.locator("#count")).to_have_text("1 found by alpha, revision 3.")
    expect(page.locator("#caption")).to_contain_text("newer.png")
    expect(page.locator("#status")).to_have_text("")
