"""The results as Markdown."""

from collections.abc import Iterator
from typing import Any

from benchmarks.inference.overload import MAX_CONNECTIONS, MAX_SLOWDOWN, MIN_GOODPUT, TIMES, Overload
from benchmarks.inference.results import Point, Results
from benchmarks.inference.targets import TARGETS
from benchmarks.inference.wrk import Measured

MISSING = "–"
ABOUT = (
    "wrk runs on the same cores. All peers serve the same ONNX file with the same decoder. Photos have 12 megapixels; "
    "peers decode and resize them with Pillow, and the limit decodes JPEGs at a reduced scale."
)


def markdown(written: dict[str, Any]) -> str:
    """Return the page of an inference.json: how each case was measured, all numbers, ratios, targets, the machine."""
    results = Results.merged([written])
    parts = ["# Inference: Tidepool and its peers", ABOUT, "\n".join(_how(written["how"]))]
    for case in results.cases():
        parts += [f"## {case}", "\n".join(_rates(results, case)), "\n".join(_ratios(results, case))]
    if results.missing:
        parts += ["## Not measured", "\n".join(f"* {name}: {reason}" for name, reason in results.missing.items())]
    if targets := list(_targets(results)):
        parts += [
            "## Targets",
            "\n".join([_row("case", "connections", "target", "reached", "met"), _rule(5), *targets]),
        ]
    if written["overload"]:
        parts += ["## Overload: cnn, jpeg", "\n".join(_overload(Overload.of(written["overload"])))]
    parts += ["## Machine and versions", "\n".join(f"* {name}: {value}" for name, value in written["facts"].items())]
    return "\n\n".join(parts) + "\n"


def _how(how: dict[str, str]) -> Iterator[str]:
    for text in dict.fromkeys(how.values()):
        cases = "; ".join(case for case, its in how.items() if its == text)
        yield f"* {cases}: {text}"


def _rates(results: Results, case: str) -> Iterator[str]:
    points = results.connections()
    yield _row("requests/s · p50 · p99 ms", *(f"{point} connections" for point in points), "failed / refused")
    yield _rule(len(points) + 2)
    for server, setting in results.servers(case):
        medians = [results.median(Point(case, server, setting, point)) for point in points]
        known = [measured for measured in medians if measured]
        bad = f"{sum(measured.failed for measured in known)} / {sum(measured.refused for measured in known)}"
        yield _row(f"{server}, {setting}" if setting else server, *map(_measured, medians), bad)


def _ratios(results: Results, case: str) -> Iterator[str]:
    """Yield Tidepool's requests per second relative to each server in its best setting."""
    points = results.connections()
    yield _row("Tidepool ÷", *(f"{point} connections" for point in points))
    yield _rule(len(points) + 1)
    for server in dict.fromkeys(server for server, _ in results.servers(case) if server != "tidepool"):
        yield _row(server, *(_ratio(results, case, server, point) for point in points))


def _ratio(results: Results, case: str, server: str, point: int) -> str:
    ours, theirs = results.best(case, "tidepool", point), results.best(case, server, point)
    return f"{ours.per_s / theirs.per_s:.2f}" if ours and theirs and theirs.per_s else MISSING


def _targets(results: Results) -> Iterator[str]:
    for target in TARGETS:
        reached = target.reached(results)
        if reached is not None:
            verdict = "yes" if target.met(reached) else f"no, by {abs(reached - target.bound) / target.bound:.0%}"
            yield _row(target.case, str(target.connections), str(target), f"{reached:.2f}", verdict)


def _overload(overload: Overload) -> Iterator[str]:
    yield _row(
        "load", "accepted/s", "of the peak", "p50 · p99 ms of accepted", "p99 ÷ peak's", "refused", "failed", "met"
    )
    yield _rule(8)
    loads = {
        f"peak, {overload.connections} connections": overload.peak,
        f"{TIMES} × the connections": overload.connections_thrice,
        f"{TIMES} × the requests/s": overload.rate_thrice,
    }
    for name, load in loads.items():
        goodput, slowdown = overload.goodput(load), overload.slowdown(load)
        met = "yes" if goodput >= MIN_GOODPUT and slowdown <= MAX_SLOWDOWN else "no"
        numbers = (f"{load.per_s:.0f}", f"{goodput:.2f}", f"{load.p50_ms:.1f} · {load.p99_ms:.1f}", f"{slowdown:.2f}")
        yield _row(name, *numbers, str(load.refused), str(load.failed), met if load is not overload.peak else MISSING)
    yield ""
    before, after = (size / 2**20 for size in (overload.memory_before, overload.memory_after))
    yield f"Memory of the gateway: {before:.0f} MiB before, {after:.0f} MiB after. Failed: not answered, or not sent"
    yield f"because all {MAX_CONNECTIONS} connections were busy."


def _measured(measured: Measured | None) -> str:
    return f"{measured.per_s:.0f} · {measured.p50_ms:.2f} · {measured.p99_ms:.1f}" if measured else MISSING


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"
