"""The command `tidepool simulate`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

# ruff: noqa: PLC0415  as in tidepool/cli/app.py

SERVICE_MS = 20.0  # ResNet-18 on one core of a CPU, docs/adr/0016
STARTUP_S = 3.0
DEADLINE_S = 10.0  # the default X-Request-Timeout
UTILIZATION, BACKLOG = 0.7, 16.0
MONTH_S = 30 * 86400
LARGEST = 1e9


def simulate(
    trace: Annotated[str, typer.Argument(help="diurnal, burst, fleet, or a CSV file: seconds,requests_per_second.")],
    peak: Annotated[
        float, typer.Option(help="Requests per second at the peak of a built-in trace.", min=0, max=LARGEST)
    ] = 200,
    service_ms: Annotated[
        float, typer.Option(help="Milliseconds that a replica takes for one request.", min=0.01, max=LARGEST)
    ] = SERVICE_MS,
    startup_s: Annotated[
        float, typer.Option(help="Seconds until a new replica is ready.", min=0, max=MONTH_S)
    ] = STARTUP_S,
    deadline_s: Annotated[
        float, typer.Option(help="Seconds until a waiting request is dropped.", min=0, max=MONTH_S)
    ] = DEADLINE_S,
    jobs: Annotated[bool, typer.Option("--jobs", help="Jobs, not requests: no deadline, one per replica.")] = False,
    min_replicas: Annotated[int, typer.Option("--min", help="The pool's min.", min=0, max=10_000)] = 1,
    max_replicas: Annotated[
        int | None, typer.Option("--max", help="The pool's max; the default is enough for any peak.", min=0, max=10_000)
    ] = None,
    idle_s: Annotated[float, typer.Option(help="The pool's idle_s.", min=0, max=MONTH_S)] = 60,
    quiet_s: Annotated[float, typer.Option(help="The pool's quiet_s.", min=0, max=MONTH_S)] = 60,
    backlog: Annotated[
        float | None, typer.Option(help="The pool's backlog_per_replica.", min=1e-3, max=LARGEST)
    ] = None,
    utilization: Annotated[float | None, typer.Option(help="The pool's utilization.", min=0.01, max=1)] = None,
    requests_per_minute: Annotated[
        float | None, typer.Option(help="The pool's requests_per_minute.", min=1e-3, max=LARGEST)
    ] = None,
    wait_target: Annotated[
        float, typer.Option(help="Acceptable wait in seconds, for the advice.", min=0, max=MONTH_S)
    ] = 1,
    wait_share: Annotated[
        float, typer.Option(help="Share of requests that must meet --wait-target.", min=0.01, max=1)
    ] = 0.99,
    price: Annotated[float, typer.Option(help="Price of a replica for one hour.", min=0, max=LARGEST)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random arrivals.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Plot load, replicas and waits to this SVG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate the waits and costs of a pool's bounds, and recommend bounds.

    Runs the autoscaler's policy on simulated replicas; no processes are started. Without a scaling target, requests
    use utilization 0.7 and backlog 16, jobs a backlog of 1. See docs/simulate.md.
    """
    from rich.console import Console

    from contract.pools import ScalingPolicy
    from scaling.simulation.experiment import Serving
    from tidepool.errors import UserFacingError
    from tidepool.simulate.bounds import WaitTarget, most_useful
    from tidepool.simulate.plot import draw
    from tidepool.simulate.study import study
    from tidepool.simulate.table import print_report
    from tidepool.simulate.trace_sources import TRACES, read_trace

    try:
        if trace not in TRACES and not Path(trace).is_file():
            raise UserFacingError(f"There is no trace {trace!r}; use {', '.join(TRACES)} or a CSV file")
        load = TRACES[trace](peak) if trace in TRACES else read_trace(Path(trace))
        service_s = service_ms / 1000
        highest = most_useful(load, service_s) if max_replicas is None else max_replicas
        if min_replicas > highest:
            raise UserFacingError(f"--min {min_replicas} is more than --max {highest}")
        if not jobs and backlog is None and utilization is None and requests_per_minute is None:
            backlog, utilization = BACKLOG, UTILIZATION
        policy = ScalingPolicy(
            min=min_replicas,
            max=highest,
            idle_s=idle_s,
            quiet_s=quiet_s,
            backlog_per_replica=backlog,
            utilization=utilization,
            requests_per_minute=requests_per_minute,
        )
        serving = Serving(service_s, startup_s, None if jobs else deadline_s, jobs)
        with Console(stderr=True).status(f"Simulating {load.name}"):
            result = study(load, serving, policy, WaitTarget(wait_target, wait_share), seed=seed, price=price)
        if plot:
            plot.write_text(draw(result.report.trace, result.outcomes), encoding="utf-8")
    except (UserFacingError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    if as_json:
        print(result.report.model_dump_json(indent=2))
        return
    print_report(Console(), result.report)
