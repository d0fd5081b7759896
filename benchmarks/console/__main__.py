"""`python -m benchmarks.console`: p50 and p95 of each page with 100,000 images, 1,000 models and 100,000 jobs."""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import structlog

from benchmarks.console.seed import seed
from tests.console.site import running_site

LIMIT_MS = 100.0  # of the p95 of every page


def addresses(sha256: str) -> tuple[str, ...]:
    """Return a page of each screen."""
    return (
        "/",
        "/datasets",
        "/datasets/pets/1",
        "/datasets/pets/1/images",
        "/datasets/pets/1/images?class=class-050",
        f"/datasets/pets/1/images/{sha256}",
        "/datasets/pets/compare/1/2",
        "/train",
        "/review",
        "/review/queue",
        "/jobs",
        "/jobs?state=failed",
        "/jobs?state=live",
        "/jobs?kind=train",
        "/jobs?name=model-0500",
        "/jobs?name=none",
        "/keys",
        "/projects",
        "/usage",
        "/audit",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder, running_site(Path(folder)) as site:
        sha256 = seed(site.stores.database, site.objects, Path(folder), options.images, options.models, options.jobs)
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        slow = False
        with httpx.Client(base_url=site.url, cookies={site.cookie: site.session()}, headers=headers) as client:
            for address in addresses(sha256):
                p50, p95, busy, size = measure(client, address, options.rounds)
                slow = slow or p95 > LIMIT_MS
                mark = "  over the limit" if p95 > LIMIT_MS else ""
                times = f"p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   CPU {busy:5.1f} ms"
                print(f"{address[:60]:<60} {times}   {size / 1000:4.0f} kB{mark}")
    sys.exit(slow)


def measure(client: httpx.Client, address: str, rounds: int) -> tuple[float, float, float, int]:
    """Return p50, p95 and the CPU time of one request in milliseconds, and the page's size in bytes.

    The CPU time has the client's share, and says more than the others on a machine that is busy with something else.
    """
    times, busy = [], 0.0
    for number in range(rounds + 3):
        if number == 3:
            busy = time.process_time()
        started = time.perf_counter()
        response = client.get(address)
        times.append((time.perf_counter() - started) * 1e3)
        response.raise_for_status()
    busy = (time.process_time() - busy) / rounds * 1e3
    times = sorted(times[3:])
    return statistics.median(times), times[int(len(times) * 0.95)], busy, len(response.content)


if __name__ == "__main__":
    main()
