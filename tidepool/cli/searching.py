"""The options of `tidepool train` for a search, and how its trials and folds are printed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.jobs import Job
from contract.search import FoldReport, Scalar, Study
from tidepool.cli.exits import WrongUsage
from tidepool.cli.output import percent, print_table, say

if TYPE_CHECKING:
    from tidepool_client import Client

_STATES = {"complete": "ended", "pruned": "ended early", "open": "running or waiting"}


def search_of(
    file: Path | None,
    trials: int | None,
    over: list[str],
    objective: str | None,
    ensemble: int | None,
    minutes: float | None,
) -> dict[str, Any] | None:
    """Return the search that the options describe, those over what the file has; None if there are none."""
    if not over and (file, trials, objective, ensemble) == (None,) * 4:
        return None
    search = _read(file) if file is not None else {}
    values = {"trials": trials, "objective": objective, "ensemble": ensemble, "minutes": minutes}
    search |= {name: value for name, value in values.items() if value is not None}
    ranges = dict(map(_parameter, over))
    if ranges:
        search["over"] = (search.get("over") or {}) | ranges
    if not search.get("over"):
        raise WrongUsage("Say what to try, such as --over optimizer.lr=0.001..0.1:log.")
    return search


def print_study(study: Study) -> None:
    """Print the trials of a search, the best one and others of an ensemble marked, and which parameters matter."""
    marks = dict.fromkeys(study.members, " +") | {study.best: " *"}
    names = list(dict.fromkeys(name for trial in study.trials for name in trial.parameters))
    rows = (
        (
            f"{trial.number}{marks.get(trial.number, '')}",
            *(_shown(trial.parameters.get(name)) for name in names),
            None if trial.value is None else f"{trial.value:.4g}",
            trial.epochs,
            trial.error or _STATES.get(trial.state, trial.state),
        )
        for trial in study.trials
    )
    print_table(("trial", *names, study.objective, "epochs", "state"), rows, numbers={study.objective, "epochs"})
    if study.members:
        say(f"The model averages the answers of {study.members_text}.")
    if study.importance:
        say("What matters: " + ", ".join(f"{name} {percent(share)}" for name, share in study.importance.items()))


def print_folds(folds: FoldReport) -> None:
    """Print the means over the folds."""
    accuracy, f1 = folds.accuracy, folds.macro_f1
    right = f"right on {percent(accuracy.mean)} ± {percent(accuracy.deviation)} of the images left out"
    say(f"  in {folds.folds} folds: {right}, macro F1 {f1.mean:.3f} ± {f1.deviation:.3f}")


def print_children(client: "Client", job: Job) -> None:
    """Print the trials or folds of a training as they are now."""
    if not (job.spec.get("search") or job.spec.get("folds")):
        return
    children = sorted(client.jobs.list(parent=job.id), key=lambda child: int(child.spec["number"]))
    say(f"  {len(children)} jobs:" if children else "  no trial has begun")
    rows = (
        (
            child.spec["number"],
            child.id,
            child.state,
            f"{child.progress.fraction:.0%}",
            ", ".join(f"{name}={_shown(value)}" for name, value in child.spec["parameters"].items()) or _fold(child),
            None if not child.result or child.result["value"] is None else f"{child.result['value']:.4g}",
        )
        for child in children
    )
    print_table(("number", "job", "state", "progress", "tries", "value"), rows, numbers={"number", "progress", "value"})


def _fold(child: Job) -> str:
    fold = child.spec.get("fold")
    return f"fold {fold['number'] + 1} of {fold['of']}" if fold else "all images"


def _read(file: Path) -> dict[str, Any]:
    try:
        search = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise WrongUsage(f"{file} cannot be read.") from None
    except ValueError:
        search = None
    if not isinstance(search, dict):
        raise WrongUsage(f'{file} is not a JSON object; write it like {{"trials": 16, "over": …}}.')
    return search


def _parameter(text: str) -> tuple[str, Any]:
    """Read `name=low..high`, `name=low..high:log` or `name=value,value`."""
    name, separator, values = text.partition("=")
    if not separator or not name or not values:
        raise WrongUsage(f"--over {text}: write a field and what to try, such as optimizer.lr=0.001..0.1:log.")
    first, dots, last = values.partition("..")
    if dots:
        low, high = _value(first), _value(last.removesuffix(":log"))
        if isinstance(low, str) or isinstance(high, str):
            raise WrongUsage(f"--over {text}: both ends of a range are numbers, such as 0.001..0.1.")
        return name, {"low": low, "high": high} | ({"log": True} if last.endswith(":log") else {})
    return name, [_value(value) for value in values.split(",")]


def _value(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _shown(value: object) -> str | None:
    return f"{value:.4g}" if isinstance(value, float) else None if value is None else str(value)
