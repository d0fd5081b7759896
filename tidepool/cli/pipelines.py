"""`tidepool pipelines`"""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from contract.pipelines import MOST_LABELS, Pipeline, PipelineRun
from tidepool.cli.confirming import Yes, confirmed
from tidepool.cli.connection import Project, connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.output import Json, moment, note, print_json, print_table, say
from tidepool.cli.root import command, group

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The pipeline.")]

pipelines = group("pipelines", "Retrain models automatically, and promote those that are shown to be better.")


@command("ls", "tidepool pipelines ls", group=pipelines)
def ls(project: Project = None, as_json: Json = False) -> None:
    """List the pipelines, each with its last run."""
    with connected(project) as client:
        rows = list(client.pipelines.list())
    if as_json:
        print_json(rows)
        return
    columns = ("pipeline", "model", "starts", "last run", "ended", "next run")
    print_table(columns, map(_row, rows))
    if not rows:
        note("There are no pipelines yet. `tidepool pipelines create` makes one.")


@command(
    "create",
    "tidepool pipelines create pets-nightly --model pets --dataset pets --cron '0 3 * * *'",
    "tidepool pipelines create pets-reviewed --model pets --dataset pets --labels 200 --drift --no-promote",
    """tidepool pipelines create pets-long --model pets --dataset pets --train '{"budget": {"minutes": 60}}'""",
    group=pipelines,
)
def create(
    name: NameArgument,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to improve.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The dataset whose next versions it is trained on.")],
    alias: Annotated[str, typer.Option(metavar="NAME", help="The alias that points at the champion.")] = "production",
    cron: Annotated[
        str | None,
        typer.Option(metavar="'M H D M W'", help="Start at these times: minute, hour, day, month, weekday in UTC."),
    ] = None,
    labels: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Start after this many more reviewed images.", min=1, max=MOST_LABELS),
    ] = None,
    drift: Annotated[bool, typer.Option("--drift", help="Start when the requests drift, once a day.")] = False,
    better_by: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="How much better a candidate must be: 0.005 is 0.5 percentage points."),
    ] = None,
    no_class_falls_by: Annotated[
        float | None, typer.Option(metavar="SHARE", help="How much a class may fall: 0.05 is 5 percentage points.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="SHARE", help="How sure the gate must be, one-sided: 0.95 is 95 %.")
    ] = None,
    train: Annotated[
        str, typer.Option(metavar="JSON", help="Fields of a training's spec; the rest is decided from the data.")
    ] = "{}",
    promote: Annotated[
        bool,
        typer.Option("--promote/--no-promote", help="Promote what passes the gate, or wait for a person."),
    ] = True,
    shadow_hours: Annotated[
        float | None,
        typer.Option(metavar="HOURS", help="Make a candidate the alias's shadow first, for this time."),
    ] = None,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Create a pipeline.

    A run makes the next version of the dataset from what people have reviewed, trains a candidate that continues from
    the champion, compares both on the same test images, and promotes the candidate only if it is shown to be better.
    """
    gate = {"better_by": better_by, "no_class_falls_by": no_class_falls_by, "confidence": confidence}
    when: dict[str, Any] = {"cron": cron, "labels": labels, "drift": drift or None}
    with connected(project) as client:
        created = client.pipelines.create(
            name,
            model=model,
            dataset=dataset,
            alias=alias,
            when=_set(when),
            train=_fields(train),
            gate=_set(gate),
            promote=promote,
            shadow_hours=shadow_hours,
        )
    if as_json:
        print_json(created)
        return
    say(f"{created.name} {_starts(created)}.", *_warning(created), f"  tidepool pipelines run {created.name}")


@command("run", "tidepool pipelines run pets-nightly", group=pipelines)
def run(name: NameArgument, project: Project = None, as_json: Json = False) -> None:
    """Start a run now, even if the pipeline is paused or its last run failed."""
    with connected(project) as client:
        started = client.pipelines.run(name)
    if as_json:
        print_json(started)
    else:
        say(f"A run of {name} starts.", f"  tidepool pipelines show {name}")


@command("show", "tidepool pipelines show pets-nightly", group=pipelines)
def show(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", help="Number of runs.", min=1)] = 10,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show a pipeline and its runs: their steps, what the gate decided, and why."""
    with connected(project) as client:
        pipeline, runs = client.pipelines.get(name), list(client.pipelines.runs(name, limit=limit))
    if as_json:
        print_json({"pipeline": pipeline, "runs": runs})
        return
    gate = pipeline.gate
    say(
        f"{pipeline.name} improves {pipeline.model}@{pipeline.alias} with {pipeline.dataset}; it {_starts(pipeline)}",
        f"  gate: better by {_points(gate.better_by)}, with {100 * gate.confidence:g} % confidence; a class may "
        f"fall by {_points(gate.no_class_falls_by)}",
        f"  a candidate that passes {'is promoted' if pipeline.promote else 'waits for a person'}",
        *_warning(pipeline),
    )
    for one in runs:
        say("", *_lines(one))


@command("pause", "tidepool pipelines pause pets-nightly", group=pipelines)
def pause(name: NameArgument, project: Project = None, as_json: Json = False) -> None:
    """Stop a pipeline from starting runs by itself; a run that has begun goes on."""
    _pause(name, project, paused=True, as_json=as_json)


@command("resume", "tidepool pipelines resume pets-nightly", group=pipelines)
def resume(name: NameArgument, project: Project = None, as_json: Json = False) -> None:
    """Let a paused pipeline start runs again; times that passed meanwhile are skipped."""
    _pause(name, project, paused=False, as_json=as_json)


@command("rm", "tidepool pipelines rm pets-nightly", "tidepool pipelines rm pets-nightly --yes", group=pipelines)
def rm(name: NameArgument, yes: Yes = False, project: Project = None) -> None:
    """Delete a pipeline with its runs; versions that they made stay."""
    with connected(project) as client:
        if not yes and not confirmed(_question(client.pipelines.get(name)), "Nothing was deleted"):
            return
        client.pipelines.delete(name)
    note(f"Deleted the pipeline {name}.")


def _question(pipeline: Pipeline) -> str:
    running = pipeline.last_run is not None and pipeline.last_run.state == "running"
    cancelled = ", and cancel its run" if running else ""
    return f"Delete the pipeline {pipeline.name} with its list of runs{cancelled}? It cannot be brought back."


def _pause(name: str, project: str | None, *, paused: bool, as_json: bool) -> None:
    with connected(project) as client:
        pipeline = client.pipelines.pause(name, paused=paused)
    if as_json:
        print_json(pipeline)
    else:
        say(f"{pipeline.name} {_starts(pipeline)}.")


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongUsage(f"--train is not JSON, at character {error.pos + 1}: {error.msg}.") from None
    if not isinstance(fields, dict):
        raise WrongUsage("""--train must be a JSON object, as in '{"budget": {"minutes": 20}}'.""")
    return fields


def _set(fields: dict[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in fields.items() if value is not None} or None


def _row(pipeline: Pipeline) -> tuple[object, ...]:
    run = pipeline.last_run
    state = (run.step if run.state == "running" else run.state) if run else None
    model = f"{pipeline.model}@{pipeline.alias}"
    ended = moment(run.ended_at if run else None)
    return pipeline.name, model, _starts(pipeline), state, ended, moment(pipeline.next_run_at)


def _starts(pipeline: Pipeline) -> str:
    return "is paused" if pipeline.paused else f"starts {pipeline.starts}"


def _points(difference: float) -> str:
    text = f"{100 * difference:g}"
    return f"{text} percentage {'point' if text == '1' else 'points'}"


def _warning(pipeline: Pipeline) -> Iterator[str]:
    if pipeline.warning:
        yield f"  warning: {pipeline.warning}"


def _lines(run: PipelineRun) -> Iterator[str]:
    step = f" ({run.step})" if run.state == "running" else ""
    yield f"{moment(run.started_at)}, started by {run.trigger}: {run.state}{step}"
    yield f"  {run.reason}"
    yield from (f"  {line}" for line in run.notes)
    made = {"dataset": run.dataset, "champion": run.champion, "candidate": run.candidate}
    jobs = {"revise": run.revise_job, "train": run.train_job, "evaluate": run.evaluate_job}
    yield from (f"  {what}: {name}" for what, name in made.items() if name)
    yield from (f"  {step} job: {job}" for step, job in jobs.items() if job)
