"""Answering by keyboard, mouse and touch."""

from playwright.sync_api import Page, expect

from tests.console.conftest import NewPage
from tests.console.review.steps import GUESS, WAIT_MS, begin, press, says, settled, shown
from tests.console.reviews_seed import add_samples
from tests.console.site import Site


def test_every_answer_has_a_key(page: Page, site: Site) -> None:
    begin(page)
    expect(page.locator("[data-ahead] img")).to_have_count(5)
    press(page, "Enter", "2", "s", "x")
    page.keyboard.press("/")
    page.keyboard.type("bo")
    page.keyboard.press("Enter")  # a new class

    settled(page, site, 5)
    assert says(site) == ["hat", "shirt", "skip", "not any", "bo"]
    expect(page.locator("[data-today]")).to_have_text("5")
    expect(page.locator("[data-left]")).to_have_text("5")


def test_a_mistyped_class_is_a_new_one_only_if_chosen(page: Page, site: Site) -> None:
    begin(page)
    page.keyboard.press("/")
    page.keyboard.type("Shrits")
    expect(page.get_by_role("option")).to_have_text(["Did you mean “shirt”?", "New class “Shrits”"])
    page.keyboard.press("Enter")
    settled(page, site, 1)
    shown(page)
    page.keyboard.press("/")
    page.keyboard.type("Shrits")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    settled(page, site, 2)
    assert says(site) == ["shirt", "Shrits"]


def test_a_new_class_that_is_undone_is_not_offered(page: Page, site: Site) -> None:
    begin(page)
    before = shown(page)
    page.keyboard.press("/")
    page.keyboard.type("bonnet")
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("The image to review")).not_to_have_attribute("src", before, timeout=WAIT_MS)
    settled(page, site, 1)
    press(page, *["Enter"] * 3)  # the page has got images since, with the new class
    expect(page.get_by_role("button", name="bonnet")).to_be_visible()
    press(page, *["z"] * 4)

    settled(page, site, 0)
    expect(page.get_by_role("button", name="bonnet")).to_have_count(0)
    press(page, *["Enter"] * 5)
    expect(page.get_by_role("button", name="bonnet")).to_have_count(0)


def test_undo_shows_the_image_again_also_several_back(page: Page, site: Site) -> None:
    begin(page)
    first = page.request.get("/v1/reviews?state=open&limit=1")
    assert first.ok
    press(page, "Enter", "2")
    settled(page, site, 2)
    press(page, "z", "z")
    settled(page, site, 0)
    press(page, "3", "3")

    settled(page, site, 2)
    assert says(site) == ["dress", "dress"]
    expect(page.locator("[data-today]")).to_have_text("2")


def test_the_mouse_and_the_finger_do_what_keys_do(new_page: NewPage, site: Site) -> None:
    page = new_page(width=360, height=740)
    begin(page)
    before = shown(page)
    page.get_by_role("button", name="shirt").click()
    expect(page.get_by_alt_text("The image to review")).not_to_have_attribute("src", before, timeout=WAIT_MS)
    before = shown(page)
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_alt_text("The image to review")).not_to_have_attribute("src", before, timeout=WAIT_MS)
    page.keyboard.press("Enter")  # accepts; the button that was clicked is not pressed again

    settled(page, site, 3)
    assert says(site) == ["shirt", "skip", "hat"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_label_that_may_be_wrong_shows_beside_the_suggestion(page: Page, site: Site) -> None:
    add_samples(site, 1, source="label_errors", label_now="dress", priority=99.0, **GUESS)
    begin(page)

    expect(page.get_by_role("heading", name="Is this “dress”?")).to_be_visible()
    expect(page.get_by_role("button", name="dress label now")).to_be_visible()
    expect(page.get_by_role("button", name="hat suggested")).to_be_visible()
    expect(page.get_by_text("the label may be wrong")).to_be_visible()
