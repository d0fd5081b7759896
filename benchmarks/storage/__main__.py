"""Fill databases with jobs and measure what everybody does with them all the time."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.inference.facts import machine
from benchmarks.storage.fill import Plan, fill
from benchmarks.storage.operations import LIMITED, SLOW, Timing, measure, operations
from benchmarks.storage.plans import blocks_read, scans
from benchmarks.storage.redis_costs import redis_costs
from benchmarks.storage.report import Measured, write
from benchmarks.storage.workers import Crowd, claim_together
from services.storage.database import Database
from services.storage.migrate import migrate
from tests.support.servers import postgres_server

RESULTS = Path(__file__).parents[1] / "results"
DATABASES = ("PostgreSQL", "SQLite")


def main() -> None:
    options = _options()
    measured = []
    for name in options.databases:
        for rows in sorted({options.rows // 100, options.rows // 10, options.rows}):
            plan = Plan(rows, rows // 10, options.projects)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, _server(name, Path(folder)) as (url, cpu):
                print(f"{name}, {rows:,} rows", flush=True)
                measured.append(_measured(name, url, plan, cpu, options))
    how = (
        f"Of the rows of the table of jobs, a tenth is queued, half are parts, in {options.projects} projects; "
        f"{options.rounds} rounds of each operation, one at a time, then {options.workers} workers that claim a job "
        f"every {options.every_s:g} s each and give it back. Times are those of the caller, with the commit; "
        "medians above 10 ms are bold. Blocks are those of 8 KiB that PostgreSQL reads for an operation."
    )
    write(measured, redis_costs(), how, machine(), options.output)
    print(f"wrote storage.md and storage.json to {options.output}")


def _measured(name: str, url: str, plan: Plan, cpu: Callable[[], float], options: argparse.Namespace) -> Measured:
    database = Database.connect(url)
    migrate(database)
    fill(database, plan)
    timings, blocks = {}, {}
    for operation, action in operations(database).items():
        rounds = min(options.rounds, LIMITED) if operation.startswith(SLOW) else options.rounds
        timings[operation] = measure(action, rounds, cpu)
        if name == "PostgreSQL":
            blocks[operation] = blocks_read(database, action)
        elif lines := scans(database, action):
            print(f"{operation} reads the whole table: {'; '.join(lines)}", flush=True)
        print(f"  {operation}: {timings[operation].median:.1f} ms", flush=True)
    seconds = claim_together(url, Crowd(options.workers, options.seconds, options.every_s))
    timings[f"claim, {options.workers} workers at once"] = Timing.of(seconds)
    database.engine.dispose()
    return Measured(name, plan.rows, timings, blocks)


@contextmanager
def _server(name: str, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the URL of an empty database, and a function that returns the CPU time of its server."""
    if name == "SQLite":
        yield f"sqlite:///{folder}/tidepool.db", lambda: 0.0
        return
    folder.chmod(0o755)
    with postgres_server(folder, durable=True, settings=["max_connections=300"]) as server:
        parent = psutil.Process(server.process.pid)

        def cpu() -> float:
            children = parent.children(recursive=True)
            return float(sum(sum(process.cpu_times()[:2]) for process in children))

        yield server.url, cpu


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the largest table of jobs (100000)")
    parser.add_argument("--workers", type=int, default=50, help="workers that claim at once (50)")
    parser.add_argument("--every-s", type=float, default=4.0, help="seconds between two claims of a worker (4)")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long the workers claim (12)")
    parser.add_argument("--rounds", type=int, default=50, help="rounds of each operation (50)")
    parser.add_argument("--projects", type=int, default=5, help="projects with queued jobs (5)")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES), help="which databases")
    parser.add_argument("--output", type=Path, default=RESULTS, help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
