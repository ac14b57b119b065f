"""The page works wherever it is served, follows the models of the server, and loads nothing from elsewhere."""

import re

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.page.page_pictures import png
from tests.page.page_server import PAGE, FakeServer, model, success

REFRESH_MS = 3_000
SIZE_LIMIT_BYTES = 60_000
PNG_FILE: FilePayload = {"name": "dive.png", "mimeType": "image/png", "buffer": png()}


@pytest.fixture
def timed_page(own_page: Page) -> Page:
    """A page whose clock the test moves on."""
    own_page.clock.install()
    return own_page


def choice(page: Page, name: str) -> Locator:
    return page.locator(".model").filter(has_text=name)


@pytest.mark.parametrize("place", ["/", "/static/index.html", "/model/v1/", "/model/v1/static/index.html"])
def test_the_page_works_from_each_place(page: Page, root: str, fake: FakeServer, place: str) -> None:
    fake.sample = png()
    hosts: list[str] = []
    page.on("request", lambda request: hosts.append(request.url))
    page.goto(root + place)
    expect(choice(page, "alpha").get_by_role("radio")).to_be_checked()
    expect(page.locator("main")).to_have_css("display", "grid")
    page.get_by_role("button", name="Sample scene.png").click()
    expect(page.locator("#count")).to_have_text("Nothing found by alpha, revision 3.")
    prefix = place.partition("static/")[0]
    assert all(path.startswith(prefix) for path in fake.paths), fake.paths
    assert all(url.startswith((root, f"blob:{root}")) for url in hosts), hosts


def test_each_state_is_shown_in_words_with_its_reason(page: Page, root: str, fake: FakeServer) -> None:
    fake.models.append(model("gamma", "failed", reason="weights file is missing"))
    page.goto(root)
    expect(choice(page, "alpha").locator(".state")).to_have_text("ready")
    expect(choice(page, "beta").locator(".state")).to_have_text("asleep, wakes on demand")
    expect(choice(page, "gamma")).to_contain_text("weights file is missing")


def test_models_come_and_go_without_changing_the_choice(timed_page: Page, root: str, fake: FakeServer) -> None:
    page = timed_page
    page.goto(root)
    choice(page, "beta").click()
    fake.models = [model("aardvark"), model("beta", "ready")]
    page.clock.run_for(REFRESH_MS)
    expect(page.locator(".model .name")).to_have_text(["aardvark", "beta"])
    expect(choice(page, "beta").get_by_role("radio")).to_be_checked()
    expect(choice(page, "beta").get_by_role("radio")).to_be_focused()
    expect(choice(page, "beta").locator(".state")).to_have_text("ready")


def test_a_chosen_model_that_goes_is_kept_as_removed_and_cannot_be_asked(
    timed_page: Page, root: str, fake: FakeServer
) -> None:
    page = timed_page
    page.goto(root)
    page.locator("#file").set_input_files(PNG_FILE)
    expect(page.locator("#count")).to_contain_text("Nothing found")
    fake.models = [model("beta")]
    page.clock.run_for(REFRESH_MS)
    expect(choice(page, "alpha").locator(".state")).to_have_text("removed")
    expect(page.locator("#detect")).to_be_disabled()
    choice(page, "beta").click()
    expect(page.locator(".model .name")).to_have_text(["beta"])
    expect(page.get_by_role("button", name="Detect with beta")).to_be_enabled()


def test_the_chosen_model_is_the_one_asked_and_waking_is_told(page: Page, root: str, fake: FakeServer) -> None:
    fake.answering.clear()
    page.goto(root)
    choice(page, "beta").click()
    page.locator("#file").set_input_files(PNG_FILE)
    expect(page.locator("#status")).to_have_text("Waking beta")
    fake.answer = (200, success(model="beta"))
    fake.answering.set()
    expect(page.locator("#count")).to_have_text("Nothing found by beta, revision 3.")
    assert [asked.model for asked in fake.asked] == ["beta"]


def test_no_model_is_told_with_what_to_do_and_the_first_one_is_taken(
    timed_page: Page, root: str, fake: FakeServer
) -> None:
    page = timed_page
    fake.models = []
    page.goto(root)
    expect(page.locator("#no-models")).to_contain_text("make add MODEL=block.yaml")
    fake.models = [model("beta")]
    page.clock.run_for(REFRESH_MS)
    expect(choice(page, "beta").get_by_role("radio")).to_be_checked()
    expect(page.locator("#no-models")).to_be_hidden()


def test_a_silent_server_is_told_and_the_list_is_kept(timed_page: Page, root: str) -> None:
    page = timed_page
    page.goto(root)
    expect(page.locator("#connection")).to_have_text("Connected")
    page.context.set_offline(True)
    page.clock.run_for(REFRESH_MS)
    expect(page.locator("#connection")).to_have_text("The server does not answer; trying again")
    expect(page.locator(".model")).to_have_count(2)
    page.locator("#file").set_input_files(PNG_FILE)
    expect(page.get_by_role("alert")).to_contain_text("No answer from the server")
    page.context.set_offline(False)
    page.clock.run_for(REFRESH_MS)
    expect(page.locator("#connection")).to_have_text("Connected")


def test_the_page_is_small_and_names_nothing_elsewhere() -> None:
    files = sorted(PAGE.iterdir())
    assert sum(path.stat().st_size for path in files) < SIZE_LIMIT_BYTES
    for path in files:
        addresses = re.findall(r"https?://[^\s\"']+", path.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def test_the_page_holds_no_inline_code() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)
