"""Write the page of results from the log."""

from collections import Counter
from functools import partial
from pathlib import Path

from benchmarks.page import MISSING, ran_on_list, spread, table
from benchmarks.training.details import decisions, scale, variants
from benchmarks.training.log import Log, mean
from benchmarks.training.plot import plot
from benchmarks.training.rows import ROWS, Row
from benchmarks.training.targets import loop_seconds, overhead, process_seconds, reached

HOW = """\
Preparation and training run as the handlers of jobs, without servers, each training in a process of its own; the parts
of a preparation run one after another. The mean over the seeds ± the standard deviation of the sample; the test split
is read once, for this page. Memory is the largest resident size of one process. Keras has the same prepared training
split as the classic example of Tidepool, which also validates after each epoch. The bare loops have the same network,
optimizer, precision, batches and validations, without jobs, checkpoints, progress or repeatable results.
"""


def write(log: Log, ran_on: dict[str, str], folder: Path) -> None:
    """Write training.md and training.png."""
    plot(log, folder / "training.png")
    sections = {
        "Targets": _targets(log),
        "Accuracy and time": _rows(log),
        "The classic example and bare loops": _classic(log),
        "From upload to prediction on an embedded stack": _served(log),
        "Decisions": decisions(log),
        "Variants": variants(log),
        "Memory and time by the number of images": scale(log),
        "Failed": [f"* {line['row']}, seed {line['seed']}: {line['error']}" for line in log.lines() if "error" in line],
    }
    lines = ["# Training: accuracy against time", "", HOW, "![accuracy against wall time](training.png)", ""]
    for title, body in sections.items():
        if body:
            lines += [f"## {title}", "", *body]
    (folder / "training.md").write_text("\n".join([*lines, "## Ran on", "", *ran_on_list(ran_on)]))


def _targets(log: Log) -> list[str]:
    rows = [(target.target, target.reached, "yes" if target.met else "no") for target in reached(log)]
    return table(("target", "reached", "met"), rows) if rows else []


def _rows(log: Log) -> list[str]:
    columns = ("data set", "way", "method", ">seeds", ">val %", ">test %", ">prepare s", ">train s", ">MiB")
    rows = [row for row in ROWS if row.measure in {"train", "keras"} and row.group != "scale"]
    return table(columns, [_row(log, row) for row in rows if log.values(row.name, "test")])


def _row(log: Log, row: Row) -> tuple[str, ...]:
    methods = Counter(log.values(row.name, "method"))
    method = ", ".join(name if len(methods) == 1 else f"{name} ({count})" for name, count in methods.items())
    prepared = mean(line["prepared"]["seconds"] for line in log.lines(row.name) if "prepared" in line)
    return (
        row.dataset,
        row.way,
        method,
        str(len(log.values(row.name, "test"))),
        spread(log.values(row.name, "val")),
        spread(log.values(row.name, "test")),
        MISSING if prepared is None else f"{prepared:.1f}",
        spread(log.values(row.name, "seconds")),
        f"{max(log.values(row.name, 'memory_mib')):.0f}",
    )


def _classic(log: Log) -> list[str]:
    loops = [
        (f"{row.way}, {row.dataset}", *(", ".join(f"{s:.1f}" for s in line[name]) for name in ("loop_s", "bare_s")))
        for row in ROWS
        for line in log.lines(row.name)
        if "bare_s" in line
    ]
    shares = [f"{overhead(log, row.name):+.1%}" for row in ROWS if overhead(log, row.name) is not None]
    columns = ("loop", ">training loop, s a round", ">bare PyTorch, s a round", ">medians")
    lines = table(columns, [(*loop, share) for loop, share in zip(loops, shares, strict=True)]) if loops else []
    pairs = [(row.way, row.name) for row in ROWS if row.name in {"keras", "classic"} and log.values(row.name, "test")]
    measures = (partial(Log.values, field="test"), loop_seconds, process_seconds)
    cells = [(way, *(spread(measure(log, name)) for measure in measures)) for way, name in pairs]
    return lines + (table(("way", ">test %", ">training alone, s", ">whole process, s"), cells) if cells else [])


def _served(log: Log) -> list[str]:
    lines = [line for row in ROWS for line in log.lines(row.name) if "steps" in line]
    if not lines:
        return []
    cells = [
        (line["row"], *(f"{s:.1f}" for s in (*line["steps"].values(), line["seconds"])), f"{line['test']:.1f}")
        for line in lines
    ]
    return table(("row", *(f">{step}, s" for step in lines[0]["steps"]), ">in total, s", ">test %"), cells)
