"""`/metrics` of a process: its metrics, those read at each scrape, and those of the processes that it has started."""

import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from prometheus_client import REGISTRY, Gauge, Metric, start_http_server

from contract import __version__

log = structlog.get_logger()

BUILD = Gauge(
    "tidepool_build_info", "Always 1; the labels tell the version and role of the process.", ["version", "role"]
)
DISK_FREE = Gauge("tidepool_disk_free_bytes", "Free space of the file system that holds a folder.", ["folder"])
DISK_SIZE = Gauge("tidepool_disk_size_bytes", "Size of the file system that holds a folder.", ["folder"])

Read = Callable[[], object]
Merge = Callable[[Iterable[Metric]], list[Metric]]


class Scrape:
    """What a scrape collects; scrapes of several clients run one after the other."""

    def __init__(self) -> None:
        self._reads: list[Read] = []
        self._merge: Merge = list
        self._one_at_a_time = threading.Lock()

    def before(self, read: Read) -> None:
        """Call `read` at each scrape, to set metrics that are too expensive or too frequent to keep current."""
        self._reads.append(read)

    def merge_with(self, merge: Merge) -> None:
        """Have `merge` add what other processes have counted."""
        self._merge = merge

    def collect(self) -> list[Metric]:
        with self._one_at_a_time:
            for read in self._reads:
                try:
                    read()
                except Exception:
                    log.exception("a metric could not be read")
            return self._merge(REGISTRY.collect())

    def restricted_registry(self, _: Iterable[str]) -> "Scrape":
        """Ignore a filter by name, which Prometheus does not send."""
        return self


SCRAPE = Scrape()


def serve_metrics(role: str, port: int, host: str) -> None:
    """Serve `/metrics` from a thread."""
    BUILD.labels(__version__, role).set(1)
    start_http_server(port, host, SCRAPE)


def watch_disk(folder: str, path: Path) -> None:
    """Show the free space of the file system of `path` as that of `folder`, a name that is the same on all machines."""
    free, size = DISK_FREE.labels(folder), DISK_SIZE.labels(folder)

    def read() -> None:
        usage = shutil.disk_usage(path)
        free.set(usage.free)
        size.set(usage.total)

    SCRAPE.before(read)
