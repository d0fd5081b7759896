"""`tidepool pools` as a person sees it, and as a script does."""

from collections.abc import Sequence

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from contract.pools import Pool, PoolMode

COLUMNS = ("pool", "desired", "ready", "draining", "waiting", "running", "oldest", "mode")
WORDS = {"pool", "mode"}


def pools_json(pools: Sequence[Pool]) -> str:
    """A JSON array, indented."""
    return TypeAdapter(Sequence[Pool]).dump_json(pools, indent=2).decode()


def print_pools(console: Console, pools: Sequence[Pool]) -> None:
    """One line a pool; what could not be measured is a question mark."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in WORDS else "right")
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
    lacking = replicas.created is not None and replicas.created < replicas.desired
    return f"{mode}, only {replicas.created} created" if lacking else mode
