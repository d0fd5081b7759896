"""The queue of a review: who gets which image, what is left, and answers that come too late."""

import re

from playwright.sync_api import Page, Response, Route, expect
from sqlalchemy import delete, update

from contract.access import Role
from services.storage.tables import review_items
from tests.console.conftest import Complaints, NewPage
from tests.console.review.steps import ANSWER, GUESS, IMAGE, WAIT_MS, answers, begin, press, says, settled, shown
from tests.console.reviews_seed import add_samples
from tests.console.site import Site


def test_two_people_never_see_the_same_image(new_page: NewPage, site: Site) -> None:
    add_samples(site, 20, first=10, **GUESS)
    seen: list[set[str]] = [set(), set()]
    pages = [new_page(Role.MEMBER), new_page(Role.MEMBER)]
    for page, ids in zip(pages, seen, strict=True):
        page.on("request", lambda request, ids=ids: ids.update(IMAGE.findall(request.url)))
        begin(page)
    for _ in range(10):
        for page in pages:
            press(page, "Enter")
    settled(pages[0], site, 20)

    assert not seen[0] & seen[1]
    assert len({row.item_id for row in answers(site)}) == 20


def test_a_labeller_sees_nothing_but_the_queue(new_page: NewPage, site: Site, complaints: Complaints) -> None:
    complaints.expected += ["403"]
    page = new_page(Role.LABELLER)
    page.goto("/")
    expect(page).to_have_url(f"{site.url}/review")
    shown(page)
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    expect(links).to_have_count(1)
    press(page, "Enter")
    settled(page, site, 1)

    for path in ("/datasets", "/jobs", "/models/clothing", "/review/queue", "/keys", "/serving", "/try"):
        page.goto(path)
        expect(page.get_by_text("Your key may only review images")).to_be_visible()
        expect(page.get_by_role("navigation", name="Main")).to_have_count(0)
    page.get_by_role("link", name="Home").click()
    expect(page).to_have_url(f"{site.url}/review")


def test_an_empty_queue_says_where_images_come_from(new_page: NewPage, site: Site) -> None:
    page = new_page(Role.MEMBER)
    begin(page)
    press(page, *["Enter"] * 9)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    expect(page.locator("[data-origin]")).to_have_text(re.compile(r"^\s*$"))
    add_samples(site, 2, first=10, **GUESS)
    shown(page)  # by itself


def test_a_reviewers_last_answer_is_sent_before_the_page_asks_what_is_left(page: Page, site: Site) -> None:
    begin(page)
    reasons: list[str | None] = []

    def note(reply: Response) -> None:
        if "/reviews/next" in reply.url:
            reasons.append(reply.json()["reason"])

    def slowly(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    page.on("response", note)
    press(page, *["s"] * 9)
    settled(page, site, 9)
    reasons.clear()
    page.route(ANSWER, slowly)
    page.keyboard.press("s")

    expect(page.get_by_text("You have answered or skipped the 10 images that are left")).to_be_visible()
    settled(page, site, 10)
    assert "hold" not in str(reasons)


def test_a_page_that_closes_gives_its_images_back(new_page: NewPage, site: Site) -> None:
    first, second = new_page(Role.MEMBER), new_page(Role.MEMBER)
    begin(first)
    first.goto("/jobs")
    begin(second)
    press(second, *["Enter"] * 9)
    second.keyboard.press("Enter")

    settled(second, site, 10)
    assert len(says(site)) == 10


def test_the_queues_page_counts_and_undoes(page: Page, site: Site) -> None:
    begin(page)
    press(page, "Enter", "2")
    settled(page, site, 2)
    page.get_by_role("link", name="The queue").click()

    expect(page.get_by_role("region", name="Who did what")).to_contain_text("ada you")
    rows = page.get_by_role("region", name="Newest answers").get_by_role("row")
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("undone")
    assert says(site) == ["hat"]


def test_the_navigation_counts_what_is_open(page: Page, site: Site) -> None:
    begin(page)
    expect(page.locator("#count-review")).to_have_text("10")
    press(page, "Enter", "Enter", "s")
    settled(page, site, 3)

    expect(page.locator("#count-review")).to_have_text("8", timeout=WAIT_MS)  # the skipped one is open for others


def test_an_answer_that_comes_too_late_says_so(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected += ["409"]
    begin(page)
    with site.stores.database.write() as connection:
        connection.execute(update(review_items).values(lease="another", leased_by="b0b"))
    page.keyboard.press("Enter")

    expect(page.get_by_text("An answer was not accepted: this lease has run out")).to_be_visible()
    assert says(site) == []


def test_an_answer_to_an_image_that_is_gone_is_not_needed(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected += ["404"]
    begin(page)
    with site.stores.database.write() as connection:
        connection.execute(delete(review_items))
    page.keyboard.press("Enter")

    expect(page.get_by_text("That image was erased or deleted meanwhile; your answer is not needed.")).to_be_visible()
