"""Reviewing: by keyboard, by touch, two people at once, through outages, and what a labeller sees."""

import os
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect
from sqlalchemy import delete, update

from contract.access import Role
from contract.projects import NewProjectRequest
from services.storage.screens.reviews import RecentAnswer, ReviewScreens
from services.storage.tables import review_items
from tests.console.conftest import Complaints, NewPage
from tests.console.reviews_seed import add_samples
from tests.console.site import Site

ANSWER = re.compile("/v1/reviews/[0-9a-f-]{36}$")
IMAGE = re.compile("/v1/reviews/([0-9a-f-]{36})/image")
WAIT_MS = 30_000  # on a busy machine
IMPATIENT = "const { timeout } = AbortSignal; AbortSignal.timeout = () => timeout.call(AbortSignal, 1000)"
GUESS = {"guess": (("hat", 0.5), ("shirt", 0.3), ("dress", 0.1))}


@pytest.fixture
def site(site: Site) -> Site:
    """A queue of ten images whose guess is a hat."""
    add_samples(site, 10, **GUESS)
    return site


def answers(site: Site) -> Sequence[RecentAnswer]:
    """The answers in the order in which they arrived."""
    return ReviewScreens(site.stores.database, "default").recent(100)[::-1]


def says(site: Site) -> list[str]:
    return [row.label or ("not any" if row.not_any else "skip") for row in answers(site)]


def begin(page: Page) -> None:
    page.goto("/review")
    shown(page)


def shown(page: Page) -> str:
    """Wait for the image; return its address in the page."""
    image = page.get_by_alt_text("The image to review")
    expect(image).to_be_visible(timeout=WAIT_MS)
    return str(image.get_attribute("src"))


def press(page: Page, *keys: str) -> None:
    """Press keys, each on another image."""
    for key in keys:
        before = shown(page)
        page.keyboard.press(key)
        expect(page.get_by_alt_text("The image to review")).not_to_have_attribute("src", before, timeout=WAIT_MS)


def settled(page: Page, site: Site, count: int) -> None:
    """Wait until the gateway has this many answers."""
    for _ in range(400):
        if len(answers(site)) == count:
            return
        page.wait_for_timeout(50)
    assert len(answers(site)) == count


def browser_of(chromium: Browser, site: Site, profile: Path) -> Page:
    """Start a browser of its own that keeps what it stores in a folder, and sign in."""
    context = chromium.browser_type.launch_persistent_context(
        profile,
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", "--disable-gpu"],
        base_url=site.url,
        reduced_motion="reduce",
    )
    keys = [key.id for key in site.own.keys.list() if key.name == "lea"]
    key_id = keys[0] if keys else site.own.keys.create("lea", Role.LABELLER).id
    context.add_cookies([{"name": site.cookie, "value": site.stores.sessions.create(key_id), "url": site.url}])
    page = context.pages[0]
    page.set_default_timeout(15_000)
    return page


def kill(profile: Path) -> None:
    """Kill the browser's processes, as a crash or a power failure would."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(profile).encode() in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue  # it is gone already


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


def test_the_navigation_counts_what_is_open(page: Page, site: Site) -> None:
    begin(page)
    expect(page.locator("#count-review")).to_have_text("10")
    press(page, "Enter", "Enter", "s")
    settled(page, site, 3)

    expect(page.locator("#count-review")).to_have_text("8", timeout=WAIT_MS)  # the skipped one is open for others


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


def test_an_answer_that_is_not_sent_yet_is_undone_without_the_gateway(
    page: Page, site: Site, complaints: Complaints
) -> None:
    complaints.expected += ["ERR_FAILED"]
    begin(page)
    page.route(ANSWER, lambda route: route.abort())
    press(page, "Enter")
    expect(page.get_by_text("One answer is kept in this browser")).to_be_visible()
    press(page, "z")
    page.unroute_all()
    press(page, "2")

    settled(page, site, 1)
    assert says(site) == ["shirt"]


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


def test_a_killed_browser_loses_no_answer(chromium: Browser, site: Site, tmp_path: Path) -> None:
    page = browser_of(chromium, site, tmp_path / "profile")
    begin(page)
    page.route(ANSWER, lambda route: route.abort())  # an outage
    press(page, "Enter", "2", "s")
    expect(page.get_by_text("3 answers are kept in this browser")).to_be_visible()
    assert says(site) == []
    kill(tmp_path / "profile")

    again = browser_of(chromium, site, tmp_path / "profile")
    again.goto("/review")
    settled(again, site, 3)
    assert says(site) == ["hat", "shirt", "skip"]
    expect(again.locator("[data-today]")).to_have_text("3")
    again.context.close()


@pytest.mark.parametrize("other", ["nobody", "another project"])
def test_answers_wait_until_the_reviewer_has_signed_in_again(
    page: Page, site: Site, complaints: Complaints, other: str
) -> None:
    complaints.expected += ["401"]
    begin(page)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    if other == "another project":
        site.stores.projects.create(NewProjectRequest(name="other"))
        session = site.session(Role.ADMIN, "other")
        page.context.add_cookies([{"name": site.cookie, "value": session, "url": site.url}])
    page.keyboard.press("Enter")
    expect(page.get_by_text("another project. One answer is kept in this browser")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.goto("/review")

    settled(page, site, 1)


def test_an_image_that_does_not_load_holds_up_no_other(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected += ["503"]
    failing: list[str] = []

    def fail_first(route: Route) -> None:
        (item_id,) = IMAGE.findall(route.request.url)
        failing[:] = failing or [item_id]
        if item_id in failing:
            route.fulfill(status=503, json={"code": "objects_unavailable", "detail": "the object store is away"})
        else:
            route.continue_()

    page.route(IMAGE, fail_first)
    begin(page)
    press(page, "Enter", "Enter")
    settled(page, site, 2)
    assert failing[0] not in {row.item_id for row in answers(site)}
    page.unroute_all()
    press(page, *["Enter"] * 7)
    shown(page)
    page.keyboard.press("Enter")

    settled(page, site, 10)


def hold_first(page: Page, url: str | re.Pattern[str]) -> list[Route]:
    """Leave the first request to a URL without an answer; return the list that gets it."""
    held: list[Route] = []
    page.route(url, lambda route: route.continue_() if held else held.append(route))
    return held


def test_an_image_that_never_arrives_holds_up_no_other(page: Page, site: Site) -> None:
    stuck = hold_first(page, IMAGE)
    begin(page)
    press(page, *["Enter"] * 8)
    page.keyboard.press("Enter")
    settled(page, site, 9)

    stuck[0].continue_()
    expect(page.locator("[data-stage]")).not_to_have_attribute("aria-busy", re.compile(".*"), timeout=WAIT_MS)
    page.keyboard.press("Enter")
    settled(page, site, 10)
    assert answers(site)[-1].item_id == IMAGE.findall(stuck[0].request.url)[0]


def test_an_image_that_never_arrives_is_asked_for_again(page: Page, site: Site) -> None:
    page.add_init_script(IMPATIENT)
    stuck = hold_first(page, IMAGE)
    begin(page)
    press(page, *["Enter"] * 9)
    page.keyboard.press("Enter")

    settled(page, site, 10)
    assert IMAGE.findall(stuck[0].request.url)[0] in {row.item_id for row in answers(site)}


def test_images_are_asked_for_again_if_no_answer_comes(page: Page) -> None:
    page.add_init_script(IMPATIENT)
    stuck = hold_first(page, "**/v1/reviews/next?*")
    begin(page)
    assert stuck


def test_an_image_that_cannot_be_shown_is_skipped(page: Page, site: Site) -> None:
    page.route(IMAGE, lambda route: route.fulfill(status=200, content_type="image/png", body="no image"), times=1)
    page.goto("/review")
    message = page.get_by_text("This image cannot be shown")
    expect(message).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("1")
    expect(page.get_by_text("Skip this image")).to_be_visible()
    page.keyboard.press("s")
    expect(message).not_to_be_visible()
    press(page, "Enter")

    settled(page, site, 2)
    assert says(site) == ["skip", "hat"]


def test_a_browser_that_stores_nothing_is_told_so(page: Page) -> None:
    page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined })")
    page.goto("/review")

    expect(page.get_by_text("This browser cannot store answers")).to_be_visible()
    expect(page.locator("[data-stage]")).not_to_have_attribute("aria-busy", re.compile(".*"))


def test_an_undo_whose_answer_is_lost_is_repeated_once(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected += ["ERR_FAILED"]
    begin(page)
    press(page, "Enter", "2")
    settled(page, site, 2)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/v1/reviews/undo", lose, times=1)
    page.keyboard.press("z")
    expect(page.get_by_text("the last answer may not be undone yet")).to_be_visible()
    press(page, "z")

    settled(page, site, 1)
    assert says(site) == ["hat"]


def test_a_label_that_may_be_wrong_shows_beside_the_suggestion(page: Page, site: Site) -> None:
    add_samples(site, 1, source="label_errors", label_now="dress", priority=99.0, **GUESS)
    begin(page)

    expect(page.get_by_role("heading", name="Is this “dress”?")).to_be_visible()
    expect(page.get_by_role("button", name="dress label now")).to_be_visible()
    expect(page.get_by_role("button", name="hat suggested")).to_be_visible()
    expect(page.get_by_text("the label may be wrong")).to_be_visible()


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
