"""`examples/browser/` classifies a photo from a page of another origin, with a key that may only predict."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright

from contract.access import DEFAULT_PROJECT, Scope
from messaging.in_memory import MemoryChannel, MemoryReports
from services.gateway.app import create_app, create_protocol
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.settings import GatewaySettings
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from services.storage.tables import metadata
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.images import png
from tests.support.publication import publish
from tests.support.servers import free_port
from tests.unit.gateway.backends import classify, make_backends

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


@contextmanager
def serving_gateway(stores: Stores) -> Iterator[str]:
    """Serve the API, with the fast path; no setting allows an origin."""
    port = free_port()
    settings = GatewaySettings(port=port)
    backends = make_backends(stores, Batcher(MemoryChannel(classify), Bounds()), settings, MemoryReports())
    options = {"http": create_protocol(backends), "ws": "none", "log_config": None, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(create_app(backends), port=port, **options))  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the gateway did not start"
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """An instance with a model."""
    database = Database.connect(f"sqlite:///{tmp_path / 'tidepool.db'}")
    metadata.create_all(database.engine)
    stores = Stores(database, MemoryObjects())
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    return stores


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
def opened(stores: Stores, page: Page, folder: Path, origin: str | None = None) -> Iterator[str]:
    """Open the example with a key that is bound to its origin, or to another one; yields the page's origin."""
    shutil.copytree(EXAMPLE, folder)
    with serving_files(folder) as own, serving_gateway(stores) as url:
        keys = stores.of(DEFAULT_PROJECT).keys
        key = keys.create("web-page", (Scope.PREDICT,), origins=(origin or own,))
        (folder / "settings.js").write_text(settings(url, key.secret))
        page.goto(own)
        yield own


def test_a_photo_is_classified_from_the_origin_of_the_key(stores: Stores, page: Page, tmp_path: Path) -> None:
    with opened(stores, page, tmp_path / "page"):
        choose(page, png(1))
        expect(page.get_by_role("status")).to_have_text("This is probably: cat")
        expect(page.get_by_role("listitem")).to_have_text(["cat 75.0 %", "dog 25.0 %"])
        assert page.get_by_role("meter", name="cat").count() == 1

        choose(page, b"bad bytes")
        expect(page.get_by_role("status")).to_have_text("the file is damaged")


def test_a_page_of_another_origin_says_that_it_is_not_allowed(stores: Stores, page: Page, tmp_path: Path) -> None:
    with opened(stores, page, tmp_path / "page", "https://app.example") as own:
        choose(page, png(1))
        expect(page.get_by_role("status")).to_contain_text(
            f"cannot be reached from {own}; is this origin allowed there?"
        )
