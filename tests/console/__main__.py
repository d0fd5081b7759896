"""`make screenshots`: pictures of every screen in docs/console/, of an instance with the sample data."""

import shutil
import sys
import tempfile
from pathlib import Path

import structlog
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.console.conftest import opened
from tests.console.demo import fill
from tests.console.site import running_site
from tests.console.test_screens import LINKED, SCREENS, visit

FOLDER = Path(__file__).parents[2] / "docs" / "console"
LIGHT = [name for name in (*SCREENS, *LINKED) if name not in {"failed", "not-found"}]
DARK = ("home", "job", "dataset", "version", "review")
NARROW = ("home", "dataset", "job", "version", "review")
EMPTY = ("home", "jobs", "review")
LARGEST = 150_000  # bytes of a picture


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    binary = shutil.which("chromium")
    if binary is None:
        sys.exit("Chromium is not installed; apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        (Path(folder) / "full").mkdir()
        with running_site(Path(folder) / "full") as site:
            fill(site, Path(folder) / "work")
            for names, suffix, options in (
                (LIGHT, "", {"height": 860}),
                (DARK, "-dark", {"height": 860, "dark": True}),
                (NARROW, "-narrow", {"width": 360, "height": 740}),
            ):
                page = opened(browser, site, **options)  # type: ignore[arg-type]
                for name in names:
                    visit(page, name)
                    take(page, f"{name}{suffix}")
                page.context.close()
        (Path(folder) / "empty").mkdir()
        with running_site(Path(folder) / "empty") as site:
            page = opened(browser, site, height=860)
            for name in EMPTY:
                visit(page, name)
                take(page, f"{name}-empty")
        browser.close()


def take(page: Page, name: str) -> None:
    """Write what the window shows as WebP, with as good a quality as its size allows."""
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(400)  # for thumbnails, and for what the live stream brings
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.screenshot(path=file.name)
        with Image.open(file.name) as picture:
            path = FOLDER / f"{name}.webp"
            for quality in (82, 70, 55, 40):
                picture.convert("RGB").save(path, "WEBP", quality=quality, method=5)
                if path.stat().st_size <= LARGEST:
                    break
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
