"""`examples/browser/` classifies a photo from a page of another origin, with a key that may only predict."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from contract.access import Scope
from tests.console.site import Site, running_site
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.images import png
from tests.support.publication import publish

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"


class Files(SimpleHTTPRequestHandler):
    """Serves a folder without logging."""

    def log_message(self, format: str, *args: object) -> None:
        return None


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway with a model; no setting allows an origin."""
    with running_site(tmp_path) as site:
        publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
        publish(site.stores, TRAIN_REQUEST, MODEL_MANIFEST)
        yield site


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Debian's Chromium."""
    binary = shutil.which("chromium")
    assert binary is not None, "Chromium is not installed; apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def settings(url: str, key: str) -> str:
    text = (EXAMPLE / "settings.js").read_text()
    assert "http://127.0.0.1:8080" in text
    return (
        text.replace("http://127.0.0.1:8080", url).replace("tp_…", key).replace("clothing-probe@production", "pet-cnn")
    )


def choose(page: Page, content: bytes) -> None:
    """Choose a photo, as a visitor does."""
    page.get_by_label("Choose a photo").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": content}
    )


@contextmanager
def opened(site: Site, page: Page, folder: Path, origin: str | None = None) -> Iterator[str]:
    """Open the example with a key that is bound to its origin, or to another one; yields the page's origin."""
    shutil.copytree(EXAMPLE, folder)
    with serving_files(folder) as own:
        key = site.own.keys.create("web-page", (Scope.PREDICT,), origins=(origin or own,))
        (folder / "settings.js").write_text(settings(site.url, key.secret))
        page.goto(own)
        yield own


def test_a_photo_is_classified_from_the_origin_of_the_key(site: Site, page: Page, tmp_path: Path) -> None:
    with opened(site, page, tmp_path / "page"):
        choose(page, png(1))
        expect(page.get_by_role("status")).to_have_text("This is probably: cat", timeout=20_000)
        expect(page.get_by_role("listitem")).to_have_text(["cat 75.0 %", "dog 25.0 %"])
        assert page.get_by_role("meter", name="cat").count() == 1

        choose(page, b"bad bytes")
        expect(page.get_by_role("status")).to_have_text("the file is damaged")


def test_a_page_of_another_origin_says_that_it_is_not_allowed(site: Site, page: Page, tmp_path: Path) -> None:
    with opened(site, page, tmp_path / "page", "https://app.example") as own:
        choose(page, png(1))
        expect(page.get_by_role("status")).to_contain_text(
            f"cannot be reached from {own}; is this origin allowed there?"
        )
        assert page.get_by_role("listitem").count() == 0
