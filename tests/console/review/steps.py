"""What a reviewer does in the browser, and what the gateway has of it."""

import re
from collections.abc import Sequence

from playwright.sync_api import Page, expect

from services.storage.screens.reviews import RecentAnswer, ReviewScreens
from tests.console.site import Site

GUESS = {"guess": (("hat", 0.5), ("shirt", 0.3), ("dress", 0.1))}
WAIT_MS = 30_000  # on a busy machine
ANSWER = re.compile("/v1/reviews/[0-9a-f-]{36}$")
IMAGE = re.compile("/v1/reviews/([0-9a-f-]{36})/image")


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
