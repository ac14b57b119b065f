"""A frame goes in, by whatever way; boxes and a list come out, linked, filtered and copied."""

import json
import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.page.page_actions import FISH, STAR, box_of, choose_frame, row_of
from tests.page.page_pictures import HEIGHT_PX, WIDTH_PX, png, turned_jpeg
from tests.page.page_server import FakeServer, detection, model, success


def test_a_chosen_frame_is_asked_as_the_door_expects(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success(STAR, FISH))
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#count")).to_have_text("2 found by alpha, revision 3.")
    assert [(asked.model, asked.filename) for asked in fake.asked] == [("alpha", "dive.png")]
    assert fake.asked[0].content == png()
    expect(page.locator(".row").first).to_contain_text("Sea star0.9040, 20 \u2013 200, 120")


@pytest.mark.parametrize("pixel_ratio", [1, 2.5])
def test_boxes_lie_over_their_pixels_at_any_size(
    browser: Browser, root: str, fake: FakeServer, pixel_ratio: float
) -> None:
    fake.answer = (200, success(STAR))
    context = browser.new_context(device_scale_factor=pixel_ratio)
    page = context.new_page()
    page.goto(root)
    choose_frame(page)
    for width in (1300, 800, 360):
        page.set_viewport_size({"width": width, "height": 700})
        image = page.locator("#image").bounding_box()
        box = box_of(page, "Sea star").bounding_box()
        assert image is not None
        assert box is not None
        scale = image["width"] / WIDTH_PX
        assert image["height"] / HEIGHT_PX == pytest.approx(scale, rel=0.02)
        place = [box["x"] - image["x"], box["y"] - image["y"], box["width"], box["height"]]
        assert place == pytest.approx([40 * scale, 20 * scale, 160 * scale, 100 * scale], abs=1.5)
    context.close()


def test_a_picture_is_shown_as_stored_since_boxes_are_in_stored_pixels(
    page: Page, root: str, fake: FakeServer
) -> None:
    fake.answer = (200, success(STAR))
    page.goto(root)
    choose_frame(page, {"name": "turned.jpg", "mimeType": "image/jpeg", "buffer": turned_jpeg()})
    expect(page.locator("#caption")).to_have_text(f"turned.jpg, {WIDTH_PX} x {HEIGHT_PX} px")
    image = page.locator("#image").bounding_box()
    assert image is not None
    assert image["width"] / image["height"] == pytest.approx(2, rel=0.02)


def test_an_image_that_the_browser_cannot_show_is_asked_all_the_same(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success(STAR))
    page.goto(root)
    choose_frame(page, {"name": "dive.tif", "mimeType": "image/tiff", "buffer": b"II*\0 not for browsers"})
    expect(page.locator("#no-image")).to_be_visible()
    expect(row_of(page, "Sea star")).to_be_visible()


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_frame_can_be_dropped_and_pasted(page: Page, root: str, fake: FakeServer, event: str) -> None:
    fake.answer = (200, success(STAR))
    page.goto(root)
    expect(page.locator("#connection")).to_have_text("Connected")
    give = """([event, bytes]) => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], "given.png", {type: "image/png"}));
        const init = {bubbles: true, cancelable: true, dataTransfer: files, clipboardData: files};
        document.body.dispatchEvent(event === "drop" ? new DragEvent(event, init) : new ClipboardEvent(event, init));
    }"""
    page.evaluate(give, [event, list(png())])
    expect(box_of(page, "Sea star")).to_be_visible()
    assert [asked.filename for asked in fake.asked] == ["given.png"]


def test_a_file_that_is_no_image_is_refused_in_words(page: Page, root: str, fake: FakeServer) -> None:
    page.goto(root)
    choose_frame(page, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"sea"})
    expect(page.get_by_role("alert")).to_contain_text("That is not an image")
    assert fake.asked == []


def test_a_sample_is_one_click(page: Page, root: str, fake: FakeServer) -> None:
    fake.sample = png()
    fake.answer = (200, success(STAR))
    page.goto(root)
    page.get_by_role("button", name="Sample scene.png").click()
    expect(box_of(page, "Sea star")).to_be_visible()
    assert [(asked.filename, asked.content) for asked in fake.asked] == [("scene.png", png())]


def test_without_samples_nothing_is_offered(page: Page, root: str) -> None:
    with page.expect_response("**/v1/samples"):
        page.goto(root)
    expect(page.locator("#samples")).to_be_hidden()
    expect(page.locator("#problem")).to_be_hidden()


def test_the_slider_filters_boxes_and_list_and_starts_at_the_floor(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success(STAR, FISH))
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#threshold")).to_have_attribute("min", "0.25")
    expect(page.locator("#threshold-value")).to_have_text("0.25")
    page.locator("#threshold").fill("0.6")
    expect(page.locator("#count")).to_have_text("1 of 2 shown by alpha, revision 3.")
    expect(page.locator(".box")).to_have_count(1)
    expect(page.locator(".row")).to_have_count(1)
    page.locator("#threshold").fill("0.5")
    expect(page.locator(".row")).to_have_count(2)


@pytest.mark.parametrize("floor", [0.3, {"*": 0.6, "Fish": 0.3}])
def test_a_slider_that_was_not_moved_follows_the_floor_of_each_model(
    page: Page, root: str, fake: FakeServer, floor: float | dict[str, float]
) -> None:
    fake.models = [model("alpha", knobs={"score_threshold": 0.6}), model("beta", knobs={"score_threshold": floor})]
    fake.answer = (200, success(STAR, FISH))
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#threshold-value")).to_have_text("0.60")
    page.locator(".model").filter(has_text="beta").click()
    page.get_by_role("button", name="Detect with beta").click()
    expect(page.locator("#threshold-value")).to_have_text("0.30")
    expect(page.locator(".row")).to_have_count(2)
    page.locator("#threshold").fill("0.7")
    page.get_by_role("button", name="Detect with beta").click()
    expect(page.locator("#threshold-value")).to_have_text("0.70")
    expect(page.locator(".row")).to_have_count(1)


def test_box_and_row_light_up_together(page: Page, root: str, fake: FakeServer) -> None:
    small = detection("Fish", 0.95, 100, 50, 140, 80)
    fake.answer = (200, success(small, STAR))
    page.goto(root)
    choose_frame(page)
    # The fish lies inside the star's box: the smaller one must be in reach.
    box_of(page, "Fish").hover()
    expect(row_of(page, "Fish")).to_have_class(re.compile(r"\blit\b"))
    expect(row_of(page, "Sea star")).not_to_have_class(re.compile(r"\blit\b"))
    page.mouse.move(1, 1)
    expect(page.locator(".lit")).to_have_count(0)
    row_of(page, "Fish").hover()
    expect(box_of(page, "Fish")).to_have_class(re.compile(r"\blit\b"))


def test_the_list_works_by_keyboard_alone(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success(STAR, FISH))
    page.goto(root)
    choose_frame(page)
    row_of(page, "Sea star").focus()
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "Fish")).to_be_focused()
    page.keyboard.press("Enter")
    fish = page.get_by_role("button", name="Fish, score 0.50, box from x 100, y 50 to x 140, y 80")
    expect(fish).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(fish).to_have_attribute("aria-pressed", "false")


def test_labels_can_be_taken_off_the_frame(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success(STAR))
    page.goto(root)
    choose_frame(page)
    expect(page.locator(".box span")).to_be_visible()
    page.get_by_label("Labels on the frame").uncheck()
    expect(page.locator(".box span")).to_be_hidden()


def test_a_label_that_would_cover_a_better_one_waits_for_the_pointer(page: Page, root: str, fake: FakeServer) -> None:
    below = detection("Fish", 0.5, 41, 21, 200, 120)
    fake.answer = (200, success(STAR, below))
    page.goto(root)
    choose_frame(page)
    expect(page.locator(".box span").filter(has_text="Sea star")).to_be_visible()
    expect(page.locator(".box span").filter(has_text="Fish")).to_be_hidden()
    row_of(page, "Fish").hover()
    expect(page.locator(".box span").filter(has_text="Fish")).to_be_visible()


def test_copied_json_is_the_answer_with_what_is_shown(
    own_context: BrowserContext, own_page: Page, root: str, fake: FakeServer
) -> None:
    page = own_page
    own_context.grant_permissions(["clipboard-read", "clipboard-write"])
    fake.answer = (200, success(STAR, FISH))
    page.goto(root)
    choose_frame(page)
    page.locator("#threshold").fill("0.6")
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == success(STAR)


def test_nothing_found_is_an_answer(page: Page, root: str) -> None:
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#count")).to_have_text("Nothing found by alpha, revision 3.")
    expect(page.locator("#controls")).to_be_hidden()


def test_a_classifier_is_listed_best_first(page: Page, root: str, fake: FakeServer) -> None:
    fake.answer = (200, success({"scores": [0.3, 0.1, 0.6]}))
    page.goto(root)
    choose_frame(page)
    expect(page.locator(".row .score")).to_have_text(["0.60", "0.30", "0.10"])
    expect(page.locator(".row .label").first).to_have_text("Fish")
    expect(page.locator("#floor")).to_be_empty()
    expect(page.locator(".box")).to_have_count(0)


def test_an_answer_of_another_shape_is_shown_as_it_is(page: Page, root: str, fake: FakeServer) -> None:
    polygon = [[0.1, 0.2], [0.3, 0.4]]
    fake.answer = (200, success(polygon))
    page.goto(root)
    choose_frame(page)
    expect(page.locator("#count")).to_have_text("alpha answers in a format of its own:")
    assert json.loads(page.locator("#raw").inner_text()) == [polygon]


def test_labels_are_text_and_never_markup(page: Page, root: str, fake: FakeServer) -> None:
    label = "<img src=x onerror=alert(1)>"
    fake.answer = (200, success(detection(label, 0.9, 10, 10, 90, 90)))
    page.goto(root)
    choose_frame(page)
    expect(page.locator(".row .label")).to_have_text(label)
    expect(page.locator(".row img, .box img")).to_have_count(0)
