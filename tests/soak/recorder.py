"""Measures the processes of a stack, its disk, Redis and database every few seconds."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import redis

from tests.soak.deployment import Deployment
from tests.soak.judge import Point
from tests.soak.tally import Tally
from tidepool.stack.pidfile import PidFile
from tidepool.stack.shared_files import load_reports

EVERY_S = 5.0
PROGRESS_S = 30.0
MIB = 2**20
Series = dict[str, list[Point]]


class Recorder:
    """Samples in a thread from `begin` to `end`; `series` has the points by name, such as `gateway private`."""

    def __init__(self, deployment: Deployment, tally: Tally) -> None:
        self.series: Series = {}
        self._home, self._tally = deployment.home, tally
        self._redis = redis.Redis.from_url(deployment.redis_url)
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder")
        self._shown = 0.0

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()

    def restarts(self) -> dict[str, int]:
        """Return how often each component was started again, without those that never were."""
        return {report.name: report.restarts for report in load_reports(self._home.state_file) if report.restarts}

    def _run(self) -> None:
        while True:
            try:
                self._sample()
            except Exception as error:  # shown; the next sample may succeed
                self._tally.problem("recorder", f"{type(error).__name__}: {error}")
            if self._stop.wait(EVERY_S):
                return

    def _sample(self) -> None:
        at = time.monotonic() - self._started
        values: dict[str, float] = {}
        for file in sorted(self._home.run.glob("*.pid")):
            process = PidFile(file).process()
            if process is not None:
                values |= {f"{file.stem} {name}": value for name, value in measure(process).items()}
        values |= dict(self._disk())
        values |= self._database()
        values["disk stray uploads"] = values["disk uploads"] - values["disk named uploads"]
        values["redis used memory"] = self._redis.info("memory")["used_memory"] / MIB
        values["neighbour p50"], values["neighbour p99"] = self._tally.window()
        values["machine cpu"] = psutil.cpu_percent()
        values |= {f"answers {name}": count for name, count in self._tally.by_class().items()}
        for name, value in values.items():
            self.series.setdefault(name, []).append((at, value))
        if at - self._shown >= PROGRESS_S:
            self._shown = at
            self._show(at, values)

    def _disk(self) -> Iterator[tuple[str, float]]:
        """Yield MiB on the disk, by what they are."""
        home = self._home
        yield "disk objects of jobs", size_of(home.data / "s3" / "tidepool-jobs")
        yield "disk uploads", size_of(home.data / "s3" / "tidepool-uploads")
        yield "disk database", sum(file.stat().st_size for file in home.data.glob("tidepool.db*")) / MIB
        yield "disk redis", size_of(home.data / "redis")
        yield "disk logs", size_of(home.logs)
        yield "disk scratch", size_of(home.scratch)

    def _database(self) -> dict[str, float]:
        path = self._home.data / "tidepool.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            ended = "state IN ('succeeded', 'failed', 'cancelled', 'expired')"
            jobs, live = (
                connection.execute(f"SELECT count(*) FROM jobs WHERE {condition}").fetchone()[0]
                for condition in (ended, f"NOT {ended}")
            )
            named = connection.execute("SELECT coalesce(sum(size), 0) FROM uploads WHERE complete").fetchone()[0]
        return {"jobs ended": jobs, "jobs live": live, "disk named uploads": named / MIB}

    def _show(self, at: float, values: dict[str, float]) -> None:
        memory = " ".join(
            f"{name.removesuffix(' private')} {value:.0f}"
            for name, value in values.items()
            if name.endswith(" private")
        )
        classes = " ".join(f"{name} {count}" for name, count in sorted(self._tally.by_class().items()))
        print(
            f"{at:6.0f} s  cpu {values['machine cpu']:.0f} %  private MiB: {memory}",
            f"jobs {values['jobs ended']:.0f} ended, {values['jobs live']:.0f} live",
            f"p50 {values['neighbour p50']:.1f} p99 {values['neighbour p99']:.1f} ms",
            f"{classes}  |  problems {self._tally.problem_count}",
            sep="  |  ",
            flush=True,
        )


def measure(process: psutil.Process) -> dict[str, float]:
    """Return a process's memory in MiB, threads, files, sockets, and how many processes it has below it.

    Empty if it has just ended.
    """
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
        family = process.children(recursive=True)
        return {
            "rss": process.memory_info().rss / MIB,
            "private": private_memory(process.pid),
            "threads": process.num_threads(),
            "files": len(links),
            "sockets": sum(link.startswith("socket:") for link in links),
            "processes": 1 + len(family),
        }
    except (psutil.Error, OSError):
        return {}


def private_memory(pid: int) -> float:
    """Return the MiB that a process has written and shares with no other.

    Unlike psutil's `uss`, without pages of files, which count as unique once other programs that map them have ended.
    """
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Dirty", "Swap")) / 1024


def size_of(folder: Path) -> float:
    """Return the MiB of the files below a folder; those that vanish meanwhile do not count."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                continue
    return total / MIB
