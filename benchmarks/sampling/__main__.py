"""`python -m benchmarks.sampling`: predictions a second with sampling for reviews off and on, in turns.

A small CNN answers many different JPEGs through an alias, over 32 connections, in one embedded stack. Each pair of
runs is one with sampling and one without, the first of them alternating; their ratio says what sampling costs, and its
median over the pairs is not moved by what else the machine does now and then. CPU times are of the gateway and the
replicas. Yesterday had as many requests a second, as on most days; a first day begins with a burst of samples.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.inference.payloads import Case
from benchmarks.inference.subjects import export_subjects
from benchmarks.inference.tidepool_stack import Running, running
from benchmarks.sampling.traffic import had_traffic
from benchmarks.sizing.processes import cpu_seconds
from services.storage.database import Database
from tidepool_client import Client

SCRIPT = Path(__file__).with_name("many.lua")
MODEL, ALIAS = "cnn", "production"
IMAGES, SIDE = 500, 32
CONNECTIONS = 32
WARM_UP_S = 1
YESTERDAY_PER_S = 2000
FOLLOW_S = 1.5  # until the gateway's caches have the change


class Run(NamedTuple):
    """Answers a second, the latency, and the CPU microseconds of an answer."""

    per_s: float
    p99_ms: float
    gateway_us: float
    replica_us: float


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (subject,) = export_subjects([MODEL], folder)
        files = _images(folder)
        with running(Case(subject, "jpeg"), folder) as stack, Client(stack.url, stack.key) as client:
            client.models.set_alias(MODEL, ALIAS, 1)
            if not options.first_day:
                database = Database.connect(f"sqlite:///{stack.home.data / 'tidepool.db'}")
                had_traffic(database, MODEL, ALIAS, YESTERDAY_PER_S)
            runs: dict[bool, list[Run]] = {True: [], False: []}
            for pair in range(options.pairs):
                for on in (True, False) if pair % 2 else (False, True):
                    _switch(client, options.rate if on else None)
                    _drive(stack, files, WARM_UP_S)
                    runs[on].append(_measured(stack, files, options.seconds))
                print(
                    f"pair {pair + 1}: off {runs[False][-1].per_s:.0f}, on {runs[True][-1].per_s:.0f} a second",
                    flush=True,
                )
            _switch(client, options.rate)
            sampled = client.sampling.get(MODEL, ALIAS).today
    _report(runs, options.rate)
    print(f"sampled: {sampled.margin} doubtful, {sampled.random} random, of {sampled.seen} seen")


def _switch(client: Client, rate: int | None) -> None:
    """Turn sampling on, or off without a rate, and wait until the gateway follows."""
    if rate is not None:
        client.sampling.set(MODEL, ALIAS, rate_per_day=rate)
    elif any(alias.review for alias in client.models.get(MODEL).aliases):
        client.sampling.stop(MODEL, ALIAS)
    time.sleep(FOLLOW_S)


def _measured(stack: Running, files: list[Path], seconds: int) -> Run:
    before = cpu_seconds(stack.home)
    answers, duration, p99_ms = _drive(stack, files, seconds)
    after = cpu_seconds(stack.home)
    gateway, replica = (1e6 * (after[role] - before[role]) / answers for role in ("gateway", "inference"))
    return Run(answers / duration, p99_ms, gateway, replica)


def _drive(stack: Running, files: list[Path], seconds: int) -> tuple[int, float, float]:
    """Return the answers, the seconds and the 99th percentile; every request must be answered."""
    url = f"{stack.url}/v1/models/{MODEL}/predict?alias={ALIAS}"
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout=10s", "--latency", "-s", str(SCRIPT), url],
        env=os.environ
        | {
            "BODIES": " ".join(map(str, files)),
            "HEADERS": f"Content-Type: image/jpeg\nAuthorization: Bearer {stack.key}\n",
        },
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    summary = json.loads(line.removeprefix("RESULT "))
    if summary["failed"]:
        raise SystemExit(f"{summary['failed']} of {summary['answers']} requests failed; nothing was measured")
    return summary["answers"], summary["seconds"], summary["p99_ms"]


def _images(folder: Path) -> list[Path]:
    """Write JPEGs of blurred blobs and noise, all different."""
    random = np.random.default_rng(0)
    files = []
    for number in range(IMAGES):
        blobs = Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8)).resize((SIDE, SIDE))
        grain = np.asarray(blobs) + random.normal(0, 6, (SIDE, SIDE, 3))
        file = io.BytesIO()
        Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        files.append(folder / f"{number}.jpg")
        files[-1].write_bytes(file.getvalue())
    return files


def _report(runs: dict[bool, list[Run]], rate: int) -> None:
    print(f"\n{len(runs[True])} pairs; sampling of {rate} images a day")
    print(f"{'':24}{'off':>10}{'on':>10}{'on / off, median of pairs':>30}")
    for field in Run._fields:
        off, on = ([getattr(run, field) for run in runs[mode]] for mode in (False, True))
        ratios = sorted(one / other for one, other in zip(on, off, strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        middle = statistics.median(ratios)
        print(
            f"{field:24}{statistics.median(off):10.1f}{statistics.median(on):10.1f}"
            f"{middle:14.3f} (quartiles {low:.3f} to {high:.3f})"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=__doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of runs (12)")
    parser.add_argument("--seconds", type=int, default=6, help="duration of a run (6)")
    parser.add_argument("--rate", type=int, default=200, help="images a day (200)")
    parser.add_argument("--first-day", action="store_true", help="let the alias have had no traffic before")
    return parser.parse_args()


if __name__ == "__main__":
    main()
