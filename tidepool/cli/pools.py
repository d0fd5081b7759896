"""`tidepool pools` and `tidepool scale`"""

from collections.abc import Iterable
from typing import Annotated

import typer

from contract.pools import Pool, PoolMode
from tidepool.cli.connection import connected
from tidepool.cli.exits import WrongUsage
from tidepool.cli.output import Json, print_json, print_table
from tidepool.cli.root import command
from tidepool.simulate.command import MONTH_S

COLUMNS = ("pool", "desired", "ready", "draining", "waiting", "running", "oldest", "mode")


@command("pools", "tidepool pools")
def pools(as_json: Json = False) -> None:
    """Show the replicas and the queue of each pool.

    `?` stands for a value that could not be measured.
    """
    with connected(None) as client:
        rows = list(client.pools.list())
    if as_json:
        print_json(rows)
    else:
        print_pools(rows)


@command("scale", "tidepool scale inference 3", "tidepool scale inference --auto --min 0 --max 4")
def scale(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Pool: preprocess, trainer or inference.")],
    replicas: Annotated[
        int | None, typer.Argument(metavar="NUMBER", help="Fixed number of replicas, at any load.", min=0)
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Follow the load; settings that are not given keep their values.")
    ] = False,
    least: Annotated[
        int | None, typer.Option("--min", metavar="NUMBER", help="Fewest replicas, with --auto.", min=0)
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", metavar="NUMBER", help="Most replicas, with --auto.", min=0)
    ] = None,
    idle_s: Annotated[
        float | None,
        typer.Option(
            "--idle",
            metavar="SECONDS",
            help="Seconds without work before scaling to zero, with --auto.",
            min=0,
            max=MONTH_S,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set the number of replicas of a pool.

    With --auto, it follows the load.
    """
    options: dict[str, float | None] = {"min": least, "max": most, "idle_s": idle_s}
    policy = {name: value for name, value in options.items() if value is not None}
    if auto is (replicas is not None) or (policy and not auto):
        raise WrongUsage(
            "Give a number, `tidepool scale inference 3`, or `tidepool scale inference --auto --min 0 --max 4`."
        )
    with connected(None) as client:
        changed = client.pools.autoscale(pool, **policy) if replicas is None else client.pools.scale(pool, replicas)
    if as_json:
        print_json(changed)
    else:
        print_pools([changed])


def print_pools(rows: Iterable[Pool]) -> None:
    print_table(COLUMNS, map(_cells, rows), numbers=COLUMNS[1:-1])


def _cells(pool: Pool) -> tuple[object, ...]:
    replicas, queue = pool.replicas, pool.queue
    counts = (replicas.desired, replicas.ready, replicas.draining, queue.waiting, queue.running)
    return (pool.name, *("?" if count is None else count for count in counts), f"{queue.oldest_s:.0f} s", _mode(pool))


def _mode(pool: Pool) -> str:
    replicas = pool.replicas
    mode = f"auto {replicas.min}..{replicas.max}" if pool.mode is PoolMode.AUTO else "manual"
    incomplete = replicas.created is not None and replicas.created < replicas.desired
    return f"{mode}, only {replicas.created} created" if incomplete else mode
