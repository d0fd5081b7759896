"""/docs in a browser that reaches nothing but the gateway."""

import shutil
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from contract.access import Scope
from messaging.in_memory import MemoryChannel
from services.storage.stores import Stores
from tests.support.servers import free_port
from tests.unit.gateway.backends import classify, gateway

START_S = 20.0


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    """The address of a gateway."""
    port = free_port()
    config = uvicorn.Config(gateway(stores, MemoryChannel(classify)), port=port, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Debian's Chromium, in which no name resolves, so that it reaches only addresses."""
    options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        yield browser
        browser.close()


def test_the_documentation_works_without_the_internet_and_obeys_its_policy(
    url: str, browser: Browser, stores: Stores
) -> None:
    secret = stores.keys.create("reader", frozenset({Scope.READ})).secret
    page = browser.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))

    # when an operation is opened, tried out and sent
    page.goto(f"{url}/docs")
    operation = page.locator("#operations-keys-me_v1_me_get")
    operation.locator(".opblock-summary-control").click()
    page.set_extra_http_headers({"Authorization": f"Bearer {secret}"})
    operation.get_by_text("Try it out").click()
    operation.locator("button.execute").click()

    # then the answer is shown, everything came from the gateway, and nothing was forbidden
    operation.locator(".live-responses-table").filter(has_text="reader").wait_for()
    assert page.title() == "Tidepool API"
    assert [address for address in requests if not address.startswith((url, "data:", "blob:"))] == []
    assert messages == []
