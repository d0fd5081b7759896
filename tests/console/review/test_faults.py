"""Reviewing through outages, killed browsers, and images that do not arrive."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from contract.access import Role
from contract.projects import NewProjectRequest
from tests.console.conftest import Complaints
from tests.console.review.steps import ANSWER, IMAGE, WAIT_MS, answers, begin, press, says, settled, shown
from tests.console.site import Site

IMPATIENT = "const { timeout } = AbortSignal; AbortSignal.timeout = () => timeout.call(AbortSignal, 1000)"


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
