"""What all pages share: signing in, the navigation, the theme."""

from playwright.sync_api import Page, expect

from contract.access import Role
from tests.console.conftest import NewPage
from tests.console.site import Site


def test_a_person_signs_in_with_a_key_and_out_again(new_page: NewPage, site: Site) -> None:
    page = new_page(signed_in=False)
    page.goto("/?from=mail")
    page.keyboard.type(site.key())  # the field has the focus
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{site.url}/?from=mail")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_one_time_link_signs_in(new_page: NewPage, site: Site) -> None:
    page = new_page(signed_in=False)
    key = site.own.keys.create("ada", Role.INSTANCE_ADMIN)

    page.goto(f"/sign-in?token={site.stores.sessions.create_link(key.id)}")

    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_the_first_tab_stop_skips_the_navigation(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_the_theme_of_a_person_lasts(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_narrow_screen_has_a_menu_and_no_sideways_scroll(new_page: NewPage) -> None:
    page = new_page(width=360, height=640)
    page.goto("/")
    expect(page.get_by_role("link", name="Jobs")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()

    expect(page.get_by_role("link", name="Jobs")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_live_stream_closes_while_the_page_is_hidden(page: Page) -> None:
    page.goto("/")
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    hide = "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
    with page.expect_event("requestfailed", lambda request: "/live" in request.url) as closed:
        page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange'))")
    assert "/live?topic=jobs" in closed.value.url
