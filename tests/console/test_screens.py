"""Every screen: no serious finding of axe, no sideways scrolling at 360 px, no complaint of the browser."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.console.conftest import Complaints, opened
from tests.console.demo import fill
from tests.console.site import Site, running_site

SERIOUS = {"serious", "critical"}
SCREENS = {
    "home": "/",
    "upload": "/upload",
    "datasets": "/datasets",
    "dataset": "/datasets/clothing/2",
    "images": "/datasets/clothing/2/images?class=hat",
    "warned": "/datasets/clothing/2/images?warning=duplicate_images",
    "compare": "/datasets/clothing/compare/1/2",
    "train": "/train?dataset=clothing@2",
    "models": "/models",
    "model": "/models/clothing",
    "version": "/models/clothing/2",
    "mistakes": "/models/clothing/2/images",
    "card": "/models/clothing/2/card",
    "versions": "/compare?model=clothing@1&model=clothing@2",
    "try": "/try?model=clothing",
    "serving": "/serving",
    "traffic": "/serving/clothing",
    "drift": "/serving/clothing/production/drift",
    "pipelines": "/pipelines",
    "pipeline": "/pipelines/clothing-retraining",
    "pools": "/pools",
    "pool": "/pools?pool=inference",
    "review": "/review",
    "review-queue": "/review/queue",
    "jobs": "/jobs",
    "failed": "/jobs?state=failed",
    "keys": "/keys",
    "projects": "/projects",
    "system": "/system",
    "usage": "/usage",
    "audit": "/audit",
    "not-found": "/datasets/none/1",
    "sign-in": "/sign-in",
}
# screens whose address is that of the first match on another screen
LINKED = {
    "job": ("/jobs?state=live&kind=train", "tbody a"),
    "failed-job": ("/jobs?state=failed&kind=train", "tbody a"),
    "search": ("/jobs?state=succeeded&kind=train", "tbody a"),
    "ended-job": ("/jobs?state=succeeded&kind=preprocess", "tbody a"),
    "image": ("/datasets/clothing/2/images", ".images a"),
}
EMPTY = (
    *("home", "upload", "datasets", "models", "train", "serving", "pipelines", "pools", "review", "review-queue"),
    *("jobs", "keys", "usage", "audit"),
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("full")
    with running_site(folder) as site:
        fill(site, folder / "work", each=2)
        yield site


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("empty")) as site:
        yield site


@pytest.fixture(scope="module")
def page_of(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that gives the one page of a site, which all tests of this file share."""
    pages: dict[str, Page] = {}

    def get(site: Site) -> Page:
        if site.url not in pages:
            pages[site.url] = opened(chromium, site)
        return pages[site.url]

    yield get
    for page in pages.values():
        page.context.close()


def visit(page: Page, name: str) -> None:
    if name in LINKED:
        listing, selector = LINKED[name]
        page.goto(listing)
        page.goto(str(page.locator(selector).first.get_attribute("href")))
    else:
        page.goto(SCREENS[name])


def check(page: Page, schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")) -> None:
    """Check a screen with axe, the second theme at 1920 px, where only colours and sizes differ; and its width on a
    phone.
    """
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        if scheme != schemes[0]:
            page.set_viewport_size({"width": 1920, "height": 1080})
        options = {} if scheme == schemes[0] else {"runOnly": ["color-contrast", "scrollable-region-focusable"]}
        violations = Axe().run(page, options=options).response["violations"]
        found = {
            violation["id"]: [node["html"][:160] for node in violation["nodes"][:4]]
            for violation in violations
            if violation["impact"] in SERIOUS
        }
        assert not found, (scheme, found)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 360, "height": 640})
    width_on_phone = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert width_on_phone <= 360


@pytest.mark.parametrize("name", [*SCREENS, *LINKED])
def test_a_screen_with_data(full: Site, page_of: Callable[..., Page], complaints: Complaints, name: str) -> None:
    page = page_of(full)
    complaints.expected = ["404"] if name == "not-found" else []
    with complaints.watching(page):
        visit(page, name)
        check(page)
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_screen(empty: Site, page_of: Callable[..., Page], complaints: Complaints, name: str) -> None:
    page = page_of(empty)
    with complaints.watching(page):
        visit(page, name)
        check(page, ("light",))
