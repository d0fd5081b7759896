"""The command `tidepool simulate cluster`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from scaling.simulation.cluster import BUSY, Cluster, Costs, Resource, resources
from tidepool.errors import UserFacingError

# ruff: noqa: PLC0415  as in tidepool/cli/app.py

MOST = 1_000_000
# Measured by benchmarks/storage on PostgreSQL 15 with a million rows, on two cores that were busy with other work, so
# `claim_ms` and `relay_ms` are the CPU time of both sides.
COSTS = Costs(
    claim_ms=10.1,
    relay_ms=0.73,
    create_cpu_ms=2.3,
    claim_cpu_ms=3.5,
    finish_cpu_ms=1.7,
    renew_cpu_ms=0.7,
    progress_cpu_ms=1.7,
    count_cpu_ms=2.2,
    wake_redis_ms=0.09,
    beat_redis_ms=0.12,
    report_redis_ms=0.0005,
    batch_redis_ms=0.15,
)


def cluster(
    replicas: Annotated[int, typer.Option(help="Replicas that run jobs all the time.", min=1, max=MOST)] = 1000,
    job_s: Annotated[float, typer.Option(help="Seconds of a job, or of a part of one.", min=0.01, max=1e7)] = 60,
    online: Annotated[int, typer.Option(help="Replicas that answer predictions all the time.", min=0, max=MOST)] = 0,
    batches: Annotated[float, typer.Option(help="Batches a second of such a replica.", min=0, max=1e6)] = 10,
    gateways: Annotated[int, typer.Option(help="Gateway processes.", min=1, max=10_000)] = 2,
    progress_s: Annotated[float, typer.Option(help="Seconds between two reports of progress.", min=0.01)] = 5,
    projects: Annotated[int, typer.Option(help="Projects with queued jobs.", min=1, max=MOST)] = 2,
    database_cores: Annotated[int, typer.Option(help="Cores of the database's machine.", min=1, max=1024)] = 8,
    connections: Annotated[int, typer.Option(help="Connections that the database accepts.", min=1, max=MOST)] = 300,
    claim_ms: Annotated[
        float | None, typer.Option(help="Milliseconds of a claim; the default is measured.", min=1e-3)
    ] = None,
    relay_ms: Annotated[
        float | None, typer.Option(help="Milliseconds of a wake-up message; the default is measured.", min=1e-3)
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The storage.json of `make bench-storage` on your machines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where a deployment of many replicas reaches its first limit.

    Computes from the costs of an operation how much of the database, the relay and Redis is used, and with how many
    replicas each is full. Starts nothing. See docs/simulate.md.
    """
    known = COSTS if costs is None else read_costs(costs)
    given = {name: value for name, value in (("claim_ms", claim_ms), ("relay_ms", relay_ms)) if value is not None}
    deployment = Cluster(
        replicas=replicas,
        job_s=job_s,
        online=online,
        batches_each=batches,
        gateways=gateways,
        progress_s=progress_s,
        projects=projects,
        database_cores=database_cores,
        connections=connections,
    )
    limits = resources(deployment, replace(known, **given))
    if as_json:
        print(json.dumps([_row(limit, deployment) for limit in limits], indent=2))
        return
    _print(limits, deployment)
    print(verdict(limits, deployment))


def read_costs(path: Path) -> Costs:
    """Read the costs from the results of the benchmark, for the largest table; raises UserFacingError."""
    try:
        document = json.loads(path.read_bytes())
        entries = [entry for entry in document["measured"] if entry["database"] == "PostgreSQL"]
        timings = max(entries, key=lambda entry: entry["rows"])["timings"]
        cpu = {name: timing["cpu"] for name, timing in timings.items()}
        redis = document["redis"]
        return replace(
            COSTS,
            claim_ms=timings["claim"]["median"],
            create_cpu_ms=cpu["create a job"],
            claim_cpu_ms=cpu["claim"],
            finish_cpu_ms=max(0.0, cpu["claim, and give back"] - cpu["claim"]),
            renew_cpu_ms=cpu["renew a lease"],
            progress_cpu_ms=cpu["renew a lease, with progress"],
            count_cpu_ms=cpu["count the queues"],
            relay_ms=redis["relay_ms"],
            wake_redis_ms=redis["wake_ms"],
            beat_redis_ms=redis["beat_ms"],
            report_redis_ms=redis["report_ms"],
            batch_redis_ms=redis["batch_ms"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{path} is not the storage.json of `make bench-storage` with PostgreSQL; run it, or leave --costs out."
        )
        raise UserFacingError(message) from error


def verdict(limits: Sequence[Resource], cluster: Cluster) -> str:
    """Return the first two limits as a sentence."""
    first, second = (f"{limit.name}, full at {_number(limit.most_replicas(cluster))} replicas" for limit in limits[:2])
    over = " The deployment is over the first." if limits[0].share > 1 else ""
    return f"The first limit is {first}; the second is {second}.{over}"


def _row(limit: Resource, cluster: Cluster) -> dict[str, object]:
    most = limit.most_replicas(cluster)
    return asdict(limit) | {"share": limit.share, "most_replicas": None if most == float("inf") else int(most + 1e-9)}


def _print(limits: Sequence[Resource], cluster: Cluster) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    title = f"{cluster.members:,} replicas, {cluster.replicas / cluster.job_s:,.1f} jobs a second"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("resource")
    for column in ("used", "of", "unit", "share", "full at replicas"):
        table.add_column(column, justify="right")
    for limit in limits:
        numbers = (f"{limit.used:,.1f}", f"{limit.available:,.1f}", limit.unit, f"{limit.share:.0%}")
        table.add_row(limit.name, *numbers, _number(limit.most_replicas(cluster)))
    console = Console()
    console.width = max(console.width, 120)
    console.print(table, highlight=False)
    console.print(f"A server counts as full when it is busy {BUSY:.0%} of the time, so that waits stay short.")


def _number(replicas: float) -> str:
    return "no number of" if replicas == float("inf") else f"{int(replicas + 1e-9):,}"
