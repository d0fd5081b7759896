"""The results as Markdown."""

from collections.abc import Iterator

from benchmarks.inference.load import MOST_CONNECTIONS
from benchmarks.inference.overload import GOODPUT, SLOWER, TIMES, Overload
from benchmarks.inference.results import Point, Results
from benchmarks.inference.targets import TARGETS
from benchmarks.inference.wrk import Measured

NOTHING = "–"


def markdown(results: Results, overload: Overload | None, facts: dict[str, str], how: str) -> str:
    """Every number and ratio, the targets, and on what it all ran; `how` says how it was measured."""
    parts = ["# Inference: Tidepool and its peers", how]
    for case in results.cases():
        parts += [f"## {case}", "\n".join(_rates(results, case)), "\n".join(_ratios(results, case))]
    if results.missing:
        parts += ["## Not measured", "\n".join(f"* {who}: {why}" for who, why in results.missing.items())]
    if targets := list(_targets(results)):
        parts += [
            "## Targets",
            "\n".join([_row("case", "connections", "target", "reached", "met"), _rule(5), *targets]),
        ]
    if overload is not None:
        parts += ["## Overload: cnn, jpeg", "\n".join(_overload(overload))]
    parts += ["## Ran on", "\n".join(f"* {name}: {value}" for name, value in facts.items())]
    return "\n\n".join(parts) + "\n"


def _rates(results: Results, case: str) -> Iterator[str]:
    points = results.connections()
    yield _row("requests/s · p50 · p99 ms", *(f"{point} connections" for point in points), "failed / refused")
    yield _rule(len(points) + 2)
    for server, setting in results.servers(case):
        found = [results.median(Point(case, server, setting, point)) for point in points]
        bad = f"{sum(each.failed for each in found if each)} / {sum(each.refused for each in found if each)}"
        yield _row(f"{server}, {setting}" if setting else server, *map(_measured, found), bad)


def _ratios(results: Results, case: str) -> Iterator[str]:
    """Tidepool's requests a second over those of each server in its best setting."""
    points = results.connections()
    yield _row("Tidepool ÷", *(f"{point} connections" for point in points))
    yield _rule(len(points) + 1)
    for server in dict.fromkeys(server for server, _ in results.servers(case) if server != "tidepool"):
        yield _row(server, *(_ratio(results, case, server, point) for point in points))


def _ratio(results: Results, case: str, server: str, point: int) -> str:
    ours, theirs = results.best(case, "tidepool", point), results.best(case, server, point)
    return f"{ours.per_s / theirs.per_s:.2f}" if ours and theirs and theirs.per_s else NOTHING


def _targets(results: Results) -> Iterator[str]:
    for target in TARGETS:
        reached = target.reached(results)
        if reached is not None:
            verdict = "yes" if target.met(reached) else f"no, by {abs(reached - target.bound) / target.bound:.0%}"
            yield _row(target.case, str(target.connections), str(target), f"{reached:.2f}", verdict)


def _overload(found: Overload) -> Iterator[str]:
    yield _row(
        "load", "accepted/s", "of the peak", "p50 · p99 ms of accepted", "p99 ÷ peak's", "refused", "failed", "met"
    )
    yield _rule(8)
    loads = {
        f"peak, {found.connections} connections": found.peak,
        f"{TIMES} × the connections": found.connections_thrice,
        f"{TIMES} × the requests/s": found.rate_thrice,
    }
    for name, load in loads.items():
        goodput, slower = found.goodput(load), found.slowdown(load)
        met = "yes" if goodput >= GOODPUT and slower <= SLOWER else "no"
        numbers = (f"{load.per_s:.0f}", f"{goodput:.2f}", f"{load.p50_ms:.1f} · {load.p99_ms:.1f}", f"{slower:.2f}")
        yield _row(name, *numbers, str(load.refused), str(load.failed), met if load is not found.peak else NOTHING)
    yield ""
    before, after = (size / 2**20 for size in (found.memory_before, found.memory_after))
    yield f"Memory of the gateway: {before:.0f} MiB before, {after:.0f} MiB after. Failed: not answered, or never sent,"
    yield f"as all of {MOST_CONNECTIONS} connections were waiting."


def _measured(found: Measured | None) -> str:
    return f"{found.per_s:.0f} · {found.p50_ms:.2f} · {found.p99_ms:.1f}" if found else NOTHING


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"
