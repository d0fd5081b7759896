"""`make chaos MINUTES=30`: a long run on both databases, and the published measurements."""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
from pathlib import Path

from tests.faults.chaos import Plan, run
from tests.faults.cluster import SERVICES, Cluster
from tests.faults.driver import Driver
from tests.faults.load import submit_latencies
from tests.faults.overload import overload
from tests.faults.report import Report
from tests.faults.resumption import compare
from tests.faults.start import cluster

DIALECTS = ("sqlite", "postgresql")
PER_SECOND, LOAD_S = 100, 20
UNBOUNDED = {"TIDEPOOL_MAX_QUEUED_JOBS": "1000000"}  # the queue limit would hide the limit of the gateway


def main(minutes: float, seed: int) -> bool:
    """Run everything, print the results, and return whether every guarantee held."""
    folder = Path(tempfile.mkdtemp(prefix="tidepool-chaos-"))
    print(f"seed {seed}; histories in {folder}")
    passed = True
    for dialect in DIALECTS:
        plan = Plan(dialect, seconds=minutes * 60 / len(DIALECTS), seed=seed, ageing=False, hold=1.0, settle_s=300)
        report = Report.of(run(plan, folder / f"{dialect}.jsonl"))
        passed &= not report.broken
        print(f"\n{dialect}, {plan.seconds:.0f} s\n{report}", flush=True)
    for dialect in DIALECTS:
        with cluster(dialect, replicas=(), durable=True) as target:
            _ready_driver(target).close()
            seconds = asyncio.run(submit_latencies(target, PER_SECOND, LOAD_S))
        hundredths = statistics.quantiles(seconds, n=100)
        p50, p99 = (1000 * hundredths[index] for index in (49, 98))
        print(f"\nsubmit at {PER_SECOND} a second on {dialect}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
    for dialect in DIALECTS:
        with cluster(dialect, replicas=(), durable=True, settings=UNBOUNDED) as target:
            _ready_driver(target).close()
            print(f"\noverload on {dialect}: {overload(target)}", flush=True)
    with cluster("sqlite", SERVICES) as target:
        driver = _ready_driver(target)
        comparison = compare(driver)
        driver.close()
    print(f"\n{comparison}")
    return passed and comparison.same


def _ready_driver(target: Cluster) -> Driver:
    driver = Driver(target)
    driver.wait_until_it_answers()
    return driver


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    sys.exit(not main(arguments.minutes, arguments.seed))
