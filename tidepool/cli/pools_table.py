"""The output of `tidepool pools`, as a table and as JSON."""

from collections.abc import Sequence

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from contract.pools import Pool, PoolMode

COLUMNS = ("pool", "desired", "ready", "draining", "waiting", "running", "oldest", "mode")
TEXT_COLUMNS = {"pool", "mode"}


def pools_json(pools: Sequence[Pool]) -> str:
    """Return an indented JSON array."""
    return TypeAdapter(Sequence[Pool]).dump_json(pools, indent=2).decode()


def print_pools(console: Console, pools: Sequence[Pool]) -> None:
    """Print one line per pool; `?` stands for a value that could not be measured."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in TEXT_COLUMNS else "right")
    for pool in pools:
        replicas, queue = pool.replicas, pool.queue
        counts = (replicas.desired, replicas.ready, replicas.draining, queue.waiting, queue.running)
        table.add_row(pool.name, *map(_count, counts), f"{queue.oldest_s:.0f} s", _mode(pool))
    console.print(table, highlight=False)


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)


def _mode(pool: Pool) -> str:
    replicas = pool.replicas
    mode = f"auto {replicas.min}..{replicas.max}" if pool.mode is PoolMode.AUTO else "manual"
    incomplete = replicas.created is not None and replicas.created < replicas.desired
    return f"{mode}, only {replicas.created} created" if incomplete else mode
