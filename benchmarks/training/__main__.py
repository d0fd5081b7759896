"""Train data sets of many kinds and compare accuracy and seconds with targets; write training.md and training.png.

Each measurement is a line of training.jsonl, as soon as it is there. A row that is measured again replaces its line, so
that a run can be made in pieces. Run it on an idle machine.
"""

import argparse
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.inference.facts import machine, versions
from benchmarks.training.datasets import DATA_SETS
from benchmarks.training.log import Log
from benchmarks.training.photos import MissingFile, ZipFile
from benchmarks.training.report import write
from benchmarks.training.rows import GROUPS, Row, UnknownRow, selected
from benchmarks.training.runner import Runner
from services.trainer.lineage import code_version

DATA = Path("../shared/data")
RESULTS = Path(__file__).parents[1] / "results"
PACKAGES_USED = ("torch", "onnxruntime", "numpy", "pillow")


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    try:
        rows = selected(options.only)
        if not options.list and not options.report:
            _check_files(rows, options.data)
    except (UnknownRow, MissingFile) as error:
        parser.error(str(error))
    if options.list:
        _list(rows)
        return
    options.output.mkdir(parents=True, exist_ok=True)
    log, load = Log(options.output / "training.jsonl"), os.getloadavg()[0]
    if not options.report:
        with nullcontext(options.work) if options.work else tempfile.TemporaryDirectory(prefix="bench-") as work:
            Path(work).mkdir(parents=True, exist_ok=True)
            _measure(Runner(Path(work).resolve(), options.data, log), rows, log, load, options)
    write(log, _ran_on(log), options.output)
    print(f"wrote training.md and training.png to {options.output}")


def _measure(runner: Runner, rows: list[Row], log: Log, load: float, options: argparse.Namespace) -> None:
    """Measure in rounds, one for each seed, so that drift of the machine affects all rows equally."""
    steps = [(seed, row) for seed in range(options.seeds) for row in rows if seed == 0 or not row.once]
    steps = [(seed, row) for seed, row in steps if not (options.resume and log.done(row.name, seed))]
    for number, (seed, row) in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {time.strftime('%H:%M')} {row.name}: {row.way}, seed {seed}", flush=True)
        line = runner.run(row, seed) | {"code": code_version(), "machine": machine(), "load": round(load, 1)}
        log.add(line)
        print(f"  {_outcome(line)}", flush=True)
        if row.once and row.dataset not in {other.dataset for _, other in steps[number:]}:
            runner.forget(row.dataset)


def _outcome(line: dict[str, object]) -> str:
    if "error" in line:
        return f"FAILED: {line['error']}"
    parts = {"test": "{:.1f} % right on test", "seconds": "{:.1f} s", "memory_mib": "{:.0f} MiB", "method": "{}"}
    texts = [text.format(line[name]) for name, text in parts.items() if line.get(name) is not None]
    return ", ".join(texts) or f"training loop {line.get('loop_s')} s, bare loop {line.get('bare_s')} s"


def _check_files(rows: list[Row], folder: Path) -> None:
    """Raise MissingFile before anything is measured."""
    for row in rows:
        dataset = DATA_SETS[row.dataset]
        if isinstance(dataset, ZipFile):
            dataset.source(folder)


def _ran_on(log: Log) -> dict[str, str]:
    """Describe the machines, versions and load averages of all lines."""
    lines = log.lines()
    machines = ("; ".join(f"{name} {value}" for name, value in line["machine"].items()) for line in lines)
    times = sorted(line["at"] for line in lines) or [""]
    loads = [line["load"] for line in lines] or [0.0]
    return {
        "machine": " / ".join(dict.fromkeys(machines)),
        "measured": f"{times[0]} to {times[-1]}",
        "load average at the start": f"{max(loads):.1f}, which should be near 0 for times to count",
        "code": ", ".join(sorted({line["code"] for line in lines})),
        "versions": versions(*PACKAGES_USED),
    }


def _list(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row.name:28} {row.group:10} {row.dataset:20} {row.way}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="names of rows, patterns such as 'digits*', or groups; see --list")
    add("--list", action="store_true", help=f"list the rows; the groups are {', '.join(GROUPS)}")
    add("--seeds", type=int, default=3, help="trainings of each row, each with another seed; default 3")
    add("--resume", action="store_true", help="skip what training.jsonl in the output folder has")
    add("--data", type=Path, default=DATA, help=f"folder of the zips of real photos; default {DATA}")
    add("--work", type=Path, help="keep generated and prepared data sets in this folder, for later runs")
    add("--output", type=Path, default=RESULTS, help="output folder; default benchmarks/results")
    add("--report", action="store_true", help="write the page from training.jsonl, measure nothing")
    return parser


if __name__ == "__main__":
    main()
