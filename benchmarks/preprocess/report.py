"""Write the results as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.page import ran_on_list, table
from benchmarks.preprocess.stack import Preparation

COLUMNS = ("archive", ">images", ">replicas", ">seconds", ">images/s", ">µs an image", ">MiB")


def write(
    runs: Mapping[str, Sequence[Preparation]], baselines: Mapping[str, float], ran_on: Mapping[str, str], folder: Path
) -> None:
    """Write preprocess.md and preprocess.json; `baselines` are images per second of libjpeg-turbo alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocess.md").write_text(_markdown(runs, baselines, ran_on))
    figures = {name: [asdict(run) for run in several] for name, several in runs.items()}
    document = {"runs": figures, "libjpeg-turbo": dict(baselines), "ran on": dict(ran_on)}
    (folder / "preprocess.json").write_text(json.dumps(document, indent=1) + "\n")


def _markdown(
    runs: Mapping[str, Sequence[Preparation]], baselines: Mapping[str, float], ran_on: Mapping[str, str]
) -> str:
    lines = [
        "# Preprocessing: from the accepted upload to the ready version",
        "",
        "An embedded stack, measured by the times of the job. Memory is the largest resident size of one process.",
        "",
    ]
    rows = [
        (
            name,
            f"{run.images:,}",
            str(run.replicas),
            f"{run.seconds:.1f}",
            f"{run.images / run.seconds:,.0f}",
            f"{run.microseconds_an_image:,.0f}",
            f"{run.memory_mib:.0f}",
        )
        for name, several in runs.items()
        for run in several
    ]
    lines += table(COLUMNS, rows)
    lines += [*(f"* libjpeg-turbo alone, {name}: {rate:.1f} images/s" for name, rate in baselines.items()), ""]
    lines += ran_on_list(ran_on)
    return "\n".join(lines)
