"""`python -m benchmarks.console.reviewing`: how many images a minute the review screen takes from a keyboard.

A script in Chromium presses the keys that a person would: Enter where the guess is right, a digit where the right class
is among the first nine, and else types it. It presses as soon as an image shows, once without time to think and once
with some. At the end, the queue must have every answer, with the right label.
"""

import argparse
import itertools
import random
import shutil
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import structlog
from playwright.sync_api import Page, sync_playwright

from tests.console.conftest import opened
from tests.console.reviews_seed import CLASSES, samples
from tests.console.site import Site, running_site

SAMPLE = Path(__file__).parents[2] / "examples" / "clothing-sample.zip"
RIGHT = 0.7  # of the guesses
DIGITS = 9
SHOWN = """before => new Promise(resolve => {
    const look = () => {
        const image = document.querySelector("[data-stage] img");
        if (image?.complete && image.src !== before) requestAnimationFrame(() => resolve(image.src));
        else setTimeout(look, 2);
    };
    look();
})"""  # resolves once an image shows that is another one than before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--think", type=float, default=0.6, help="seconds that a person looks at an image")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    binary = shutil.which("chromium")
    if binary is None:
        sys.exit("Chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        for think_s in (0.0, options.think):
            with tempfile.TemporaryDirectory() as folder, running_site(Path(folder)) as site:
                truths = fill(site, options.images)
                page = opened(browser, site, height=860)
                report(review(page, truths, think_s), think_s)
                check(page, site, truths)
                page.context.close()
        browser.close()


def fill(site: Site, count: int) -> list[str]:
    """Add photos to the queue, with guesses of which most are right; return their classes in the queue's order."""
    chance = random.Random(1)
    with zipfile.ZipFile(SAMPLE) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        chosen = list(itertools.islice(itertools.cycle(chance.sample(names, min(count, len(names)))), count))
        files = [archive.read(name) for name in chosen]
    truths = [name.split("/")[1] for name in chosen]
    items = []
    for item, truth in zip(samples(site, files), truths, strict=True):
        others = chance.sample([label for label in CLASSES if label != truth], 2)
        labels = [truth, *others] if chance.random() < RIGHT else [others[0], truth, others[1]]
        items.append(item.model_copy(update={"guess": tuple(zip(labels, (0.5, 0.3, 0.1), strict=True))}))
    site.own.reviews.add(items)
    return truths


def review(page: Page, truths: list[str], think_s: float) -> tuple[float, list[float]]:
    """Answer all images; return the seconds that it took, and those from each key to the next image."""
    page.goto("/review")
    shown, waits = page.evaluate(SHOWN, ""), []
    started = time.perf_counter()
    for number, truth in enumerate(truths):
        page.wait_for_timeout(think_s * 1000)
        pressed = time.perf_counter()
        press(page, truth)
        if number + 1 < len(truths):
            shown = page.evaluate(SHOWN, shown)
            waits.append(time.perf_counter() - pressed)
    return time.perf_counter() - started, waits


def press(page: Page, truth: str) -> None:
    """Answer the image that shows."""
    labels = page.locator("[data-options] strong").all_inner_texts()
    if labels[0] == truth:
        page.keyboard.press("Enter")
    elif truth in labels[:DIGITS]:
        page.keyboard.press(str(labels.index(truth) + 1))
    else:
        page.keyboard.press("/")
        page.keyboard.type(truth)
        page.keyboard.press("Enter")


def report(result: tuple[float, list[float]], think_s: float) -> None:
    took, waits = result
    count = len(waits) + 1
    p50, p95 = statistics.median(waits) * 1e3, sorted(waits)[int(len(waits) * 0.95)] * 1e3
    thinking = f"{think_s:g} s of thinking" if think_s else "no thinking"
    rate = f"{60 * count / took:6.0f} a minute"
    print(f"{count} images, {thinking:<18} {rate}   key to image p50 {p50:4.0f} ms, p95 {p95:4.0f} ms")


def check(page: Page, site: Site, truths: list[str]) -> None:
    """Exit with an error unless the queue has all answers and their labels."""
    for _ in range(100):
        answered = site.own.reviews.answered()
        if len(answered) == len(truths):
            break
        page.wait_for_timeout(100)
    labels = [item.label for item in answered]
    if sorted(filter(None, labels)) != sorted(truths):
        sys.exit(f"{len(truths)} images were answered, and the queue has {len(labels)} answers")


if __name__ == "__main__":
    main()
