"""Chromium, and a page that fails its test on a console error, a failed request of our own, or a CSP violation."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from contract.access import DEFAULT_PROJECT, Role
from tests.console import models_seed
from tests.console.site import Site, running_site

NewPage = Callable[..., Page]

# the default shows the locals of a traceback, for which an error's page would wait half a minute
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


# While Playwright runs, its event loop is that of the thread, and asyncio tests of other files could not run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    binary = shutil.which("chromium")
    assert binary is not None, "Chromium is not installed; apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as site:
        yield site


@pytest.fixture(scope="module")
def filled_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with datasets and models, which the tests of a file share."""
    folder = tmp_path_factory.mktemp("filled")
    with running_site(folder) as site:
        models_seed.fill(site, folder / "data")
        yield site


class Complaints:
    """What went wrong in a page; `expected` are parts of messages that a test provokes."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.expected: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)

    @contextmanager
    def watching(self, page: Page) -> Iterator[None]:
        """Watch a page that several tests use."""
        self.watch(page)
        yield
        page.remove_listener("console", self._on_console)
        page.remove_listener("pageerror", self._on_error)

    def _on_error(self, error: Error) -> None:
        self.messages.append(f"error: {error}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.messages.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def check(self) -> None:
        unexpected = [text for text in self.messages if not any(part in text for part in self.expected)]
        assert not unexpected, unexpected


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails the test at its end if a page has complained; CSP violations are console errors."""
    complaints = Complaints()
    yield complaints
    complaints.check()


def opened(
    chromium: Browser,
    site: Site,
    role: Role = Role.INSTANCE_ADMIN,
    project: str = DEFAULT_PROJECT,
    *,
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    signed_in: bool = True,
) -> Page:
    """Return a page of a new browser context, whose person is signed in."""
    context = chromium.new_context(
        base_url=site.url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    if signed_in:
        cookie = {"name": site.cookie, "value": site.session(role, project), "url": site.url}
        context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]
    page = context.new_page()
    page.set_default_timeout(15_000)
    return page


@pytest.fixture
def new_page(chromium: Browser, site: Site, complaints: Complaints) -> Iterator[NewPage]:
    """Return a function that opens a page of a new browser, with the options of `opened`."""
    pages: list[Page] = []

    def open_page(*arguments: Any, **options: Any) -> Page:
        page = opened(chromium, site, *arguments, **options)
        pages.append(page)
        complaints.watch(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page of an instance's admin in the default project."""
    return new_page()
