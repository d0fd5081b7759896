"""The targets of training, each with what was reached."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.page import spread
from benchmarks.training.log import Log, mean
from benchmarks.training.rows import ROWS, SMALL, Row

CLASSIC_PERCENT, CLASSIC_MARGIN = 41.8, 1.5
MOST_LOST = 0.5  # points of accuracy, to the training from scratch at 32×32, and by int8
OVERHEAD = {"classic-overhead": 0.10, "cnn-overhead": 0.05}
INT8_SPEEDUP = 2.0
INT8_ROWS = ("cifar-sample-default", "cifar", "clothing")  # the small CNN, twice, and lite0


@dataclass(frozen=True)
class Reached:
    """A target, and what was reached; `met` is False also if it was not reached in every respect."""

    target: str
    reached: str
    met: bool


def reached(log: Log) -> Iterator[Reached]:
    """Yield every target that was measured."""
    for row in ROWS:
        if row.least is not None and log.values(row.name, "test"):
            yield _accuracy(log, row)
    yield from (_not_worse(log, name) for name in SMALL if both_ways(log, name))
    yield from _classic(log)
    for name, most in OVERHEAD.items():
        if (share := overhead(log, name)) is not None:
            yield Reached(f"{name}: at most {most:.0%} over a bare PyTorch loop", f"{share:+.1%}", share <= most)
    yield from _int8(log)


def both_ways(log: Log, dataset: str) -> bool:
    """Return whether a data set was trained with nothing given and from scratch at 32×32."""
    return bool(log.values(dataset, "test") and log.values(f"{dataset}-default", "test"))


def total_seconds(log: Log, row: str) -> float | None:
    """Return the mean seconds of preparation and training together."""
    lines = [line for line in log.lines(row) if "seconds" in line]
    return mean(line["seconds"] + line.get("prepared", {}).get("seconds", 0.0) for line in lines)


def loop_seconds(log: Log, row: str) -> list[float]:
    """Return the seconds of gradient descent, with validations."""
    return log.values(row, "loop_s")


def process_seconds(log: Log, row: str) -> list[float]:
    """Return the seconds of training from the start of its process, with imports, export and evaluation."""
    return [line["seconds"] + line.get("start_s", 0.0) for line in log.lines(row) if "seconds" in line]


def overhead(log: Log, row: str) -> float | None:
    """Return by which share the median of the training loop is longer than that of the bare loop."""
    lines = [line for line in log.lines(row) if "bare_s" in line]
    if not lines:
        return None
    ours, bare = (sorted(lines[0][name]) for name in ("loop_s", "bare_s"))
    return float(ours[len(ours) // 2] / bare[len(bare) // 2] - 1)


def _accuracy(log: Log, row: Row) -> Reached:
    values, seconds = log.values(row.name, "test"), total_seconds(log, row.name) or 0.0
    target, text = f"{row.dataset}, {row.way}: at least {row.least:g} %", f"{spread(values)} %"
    met = (mean(values) or 0.0) >= (row.least or 0.0)
    if row.follows is not None:
        ours, keras = (mean(loop_seconds(log, name)) or 0.0 for name in (row.name, row.follows))
        target += f" in {keras:.1f} s of training"
        text, met = f"{text} in {ours:.1f} s", met and ours <= keras
    elif row.most_s is not None:
        target += f" in {row.most_s:g} s, from the zip to the model"
        text, met = f"{text} in {seconds:.0f} s", met and seconds <= row.most_s
    return Reached(target, text, met)


def _not_worse(log: Log, name: str) -> Reached:
    ours, plain = (mean(log.values(row, "test")) or 0.0 for row in (name, f"{name}-default"))
    target = f"{name}, nothing given: not worse than from scratch at 32×32 by more than {MOST_LOST} points"
    return Reached(target, f"{ours:.1f} against {plain:.1f} %: {ours - plain:+.1f}", ours >= plain - MOST_LOST)


def _classic(log: Log) -> Iterator[Reached]:
    percents = log.values("classic", "test")
    if percents:
        target = f"the classic example: {CLASSIC_PERCENT} ± {CLASSIC_MARGIN} %"
        met = abs((mean(percents) or 0.0) - CLASSIC_PERCENT) <= CLASSIC_MARGIN
        yield Reached(target, f"{spread(percents)} %", met)
    for what, measure in (("training alone", loop_seconds), ("from start to end of the process", process_seconds)):
        ours, keras = mean(measure(log, "classic")), mean(measure(log, "keras"))
        if ours and keras:
            yield Reached(
                f"the classic example, {what}: faster than Keras", f"{ours:.1f} : {keras:.1f} s", ours < keras
            )


def _int8(log: Log) -> Iterator[Reached]:
    target = f"int8, if chosen: at least {INT8_SPEEDUP:g} × the images/s of fp32, at most {MOST_LOST} points lost"
    for name in INT8_ROWS:
        for line in log.lines(name)[:1]:
            files = {variant["name"]: variant for variant in line.get("variants", ())}
            if line.get("serving") != "int8":
                continue
            speedup = files["int8"]["images_per_second"] / files["fp32"]["images_per_second"]
            lost = 100 * ((files["fp32"]["accuracy"] or 0.0) - (files["int8"]["accuracy"] or 0.0))
            met = speedup >= INT8_SPEEDUP and lost <= MOST_LOST
            yield Reached(f"{name}: {target}", f"{speedup:.1f} ×, {lost:+.1f} points lost", met)
