"""The whole road on a real stack: from the link of `tidepool up` over an upload to a promoted model and a
prediction.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import Complaints
from tests.e2e.running import Running, started
from tests.support.images import encoded, zipped

COLOURS = {"ruby": (200, 30, 40), "emerald": (20, 170, 80), "sapphire": (30, 60, 190)}
EACH = 30
WAIT_MS = 180_000  # for a job, on a machine that runs other tests meanwhile


def gem(label: str, chance: np.random.Generator) -> bytes:
    """A photo of a gem: its colour with noise, as a camera adds it."""
    pixels = np.array(COLOURS[label]) + chance.normal(0, 25, (40, 40, 3))
    return encoded(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("home"), "preprocess=1", "trainer=1", "inference=1") as stack:
        yield stack


@pytest.fixture
def gems(tmp_path: Path) -> Path:
    """Photos of gems, as far as a network can tell, and two files that are none."""
    chance = np.random.default_rng(1)
    files = {"notes.png": b"not an image"}
    for label in COLOURS:
        for number in range(EACH):
            files[f"{label}/{number}.png"] = gem(label, chance)
    return zipped(tmp_path / "gems.zip", files | {"ruby/broken.png": files["ruby/0.png"][:200]})


@pytest.fixture
def new_gem(tmp_path: Path) -> Path:
    """A photo that the model has not seen."""
    photo = tmp_path / "new.png"
    photo.write_bytes(gem("emerald", np.random.default_rng(2)))
    return photo


@pytest.fixture
def page(chromium: Browser, stack: Running, complaints: Complaints) -> Iterator[Page]:
    context = chromium.new_context(base_url=stack.url, reduced_motion="reduce")
    page = context.new_page()
    complaints.watch(page)
    yield page
    context.close()


def test_from_an_empty_instance_to_a_prediction(page: Page, stack: Running, gems: Path, new_gem: Path) -> None:
    # given an empty instance, whose link signs in
    bearer = {"Authorization": f"Bearer {stack.key}"}
    page.goto(httpx.post(f"{stack.url}/console/links", headers=bearer).json()["path"])
    expect(page.get_by_role("heading", name="Welcome to Tidepool")).to_be_visible()

    # when a person uploads images
    page.get_by_role("link", name="Upload images").click()
    page.locator("[data-input=file]").set_input_files(gems)
    page.get_by_role("button", name="Upload", exact=True).click()

    # then the job shows what was made of them, and what was left out and why
    expect(page.get_by_role("heading", name="gems@1 is ready")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("cell", name="ruby/broken.png")).to_be_visible()
    page.get_by_role("link", name="Open the dataset").click()
    expect(page.get_by_role("link", name="emerald").first).to_be_visible()
    thumbnail = page.locator(".images img").first
    expect(thumbnail).to_be_visible()
    assert thumbnail.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 0
    page.locator(".images a").first.click()
    original = page.locator(".stage img")
    assert original.evaluate("async image => { await image.decode(); return image.naturalWidth; }") == 40

    # when they train on them, and load the page again in the middle
    page.goto("/datasets/gems/1")
    page.get_by_role("link", name="Train a model").click()
    page.get_by_role("radio", name="Linear probe").check()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name="Train gems")).to_be_visible()
    page.reload()

    # then there is a model, on the job's page and on the first one
    expect(page.get_by_role("heading", name="gems@1 is ready")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("heading", name="Decided for you")).to_be_visible()
    page.get_by_role("link", name="Home", exact=True).click()
    expect(page.get_by_role("cell", name="gems", exact=True)).to_be_visible()

    # when they promote it
    page.get_by_role("cell", name="gems", exact=True).get_by_role("link").click()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_text("gems@production is version 1 now.")).to_be_visible()

    # then it names a new photo
    page.get_by_role("link", name="Try", exact=True).first.click()
    page.locator("#image").set_input_files(new_gem)
    expect(page.locator("#answers .figure")).to_contain_text("emerald", timeout=WAIT_MS)
