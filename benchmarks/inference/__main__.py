"""Compare Tidepool with its peers in one run and write inference.json, inference.md and inference.png."""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.inference.facts import facts
from benchmarks.inference.lineup import CONTENDERS, OURS, PEERS
from benchmarks.inference.overload import Overload, overload
from benchmarks.inference.payloads import PAYLOADS, Case
from benchmarks.inference.plot import plot
from benchmarks.inference.results import Results
from benchmarks.inference.rounds import BenchmarkPlan
from benchmarks.inference.server import ServerFailed
from benchmarks.inference.subjects import ARCHITECTURES, export_subjects
from benchmarks.inference.table import markdown

RESULTS = Path(__file__).parents[1] / "results"
OVERLOADED = ("cnn", "jpeg")


def main() -> None:
    options = _options()
    if options.merge:
        _write(_merged([json.loads(file.read_text()) for file in options.merge]), options.output)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _report("exporting the models")
        subjects = export_subjects(options.models, Path(folder))
        plan = BenchmarkPlan(
            cases=[
                Case(subject, payload)
                for subject in subjects
                for payload in options.payloads
                if payload in subject.payloads
            ],
            contenders=[
                contender for contender in CONTENDERS if contender in OURS or contender.server in options.peers
            ],
            connections=options.connections,
            seconds=options.seconds,
            rounds=options.rounds,
        )
        results = plan.run(_report)
        overloaded = None if options.smoke else _overload(plan, results.missing)
    how = (
        f"medians of {options.rounds} round{'s' * (options.rounds > 1)} over all servers, {options.seconds} s a point"
        " (ResNet-18: three times)"
    )
    written = {
        "how": dict.fromkeys(results.cases(), how),
        "facts": facts(),
        "points": results.as_json(),
        "missing": results.missing,
        "overload": overloaded and asdict(overloaded),
    }
    _write(written, options.output)


def _merged(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the files as one; each case is taken whole from the last file that has it, so ratios are of one run."""
    results = Results.merged(files)
    return files[-1] | {
        "how": {case: how for file in files for case, how in file["how"].items()},
        "points": results.as_json(),
        "missing": results.missing,
        "overload": next((file["overload"] for file in reversed(files) if file["overload"]), None),
    }


def _write(written: dict[str, Any], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "inference.json").write_text(json.dumps(written, indent=1) + "\n")
    (output / "inference.md").write_text(markdown(written))
    plot(Results.merged([written]), output / "inference.png")
    _report(f"wrote inference.json, inference.md and inference.png to {output}")


def _overload(plan: BenchmarkPlan, missing: dict[str, str]) -> Overload | None:
    for case in plan.cases:
        if (case.subject.name, case.payload) == OVERLOADED:
            _report(f"{case}: overload of Tidepool")
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                try:
                    return overload(case, Path(folder), plan.seconds)
                except ServerFailed as failure:
                    missing[f"{case}: overload"] = str(failure)
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    add = parser.add_argument
    add("--models", type=_some(tuple(ARCHITECTURES)), default=tuple(ARCHITECTURES), help=", ".join(ARCHITECTURES))
    add("--payloads", type=_some(PAYLOADS), default=PAYLOADS, help=", ".join(PAYLOADS))
    add("--peers", type=_some(PEERS), default=PEERS, help=f"{', '.join(PEERS)}, or none")
    add("--connections", type=_numbers, default=(1, 8, 32, 128), help="numbers of connections (1,8,32,128)")
    add("--seconds", type=int, default=2, help="seconds per measurement (2); three times as many for ResNet-18")
    add("--rounds", type=int, default=3, help="rounds over all servers (3)")
    add("--output", type=Path, default=RESULTS, help="output folder")
    merge = "files inference.json of earlier runs: write one page of their cases, measure nothing"
    add("--merge", type=Path, nargs="+", metavar="FILE", help=merge)
    add("--smoke", action="store_true", help="only Tidepool and the limit, on the tiny MLP, for one second")
    options = parser.parse_args()
    if options.smoke:
        options.models, options.payloads, options.peers = ("mlp",), ("jpeg",), ()
        options.connections, options.seconds, options.rounds = (1, 8), 1, 1
    return options


def _some(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of a comma-separated list of names; `none` is the empty list."""

    def names(text: str) -> tuple[str, ...]:
        selected = () if text == "none" else tuple(text.split(","))
        if unknown := set(selected) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
        return selected

    return names


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(number) for number in text.split(",")}))


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
