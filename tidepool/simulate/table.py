"""The report of `tidepool simulate` as a table."""

from rich import box
from rich.console import Console
from rich.table import Table

from tidepool.simulate.report import StudyReport, StudyRow
from tidepool.simulate.study import FEWEST, RECOMMENDED

COLUMNS = ("replicas", "p50 wait", "p95 wait", "p99 wait", "in time", "dropped", "replica-hours", "cost")
MIN_WIDTH = 200  # characters; a narrower terminal wraps the lines, so that no number is cut short


def print_report(console: Console, report: StudyReport) -> None:
    """Print one line per way to provision the pool, then the recommended bounds."""
    title = f"{report.trace}: {report.requests:,} requests in {report.seconds / 3600:g} h"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in report.rows:
        table.add_row(*_cells(row, report.step_s), style="bold" if row.name == RECOMMENDED else None)
    console.width = max(console.width, MIN_WIDTH)
    console.print(table, highlight=False)
    console.print(_advice(report), highlight=False, soft_wrap=True)


def _cells(row: StudyRow, step_s: float) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.min}" if row.min == row.max else f"{row.min} to {row.max}",
        *(_wait(wait, step_s) for wait in (row.p50_s, row.p95_s, row.p99_s)),
        "" if row.in_time is None else f"{row.in_time:.2%}",
        f"{row.dropped:,}",
        f"{row.replica_hours:,.1f}",
        f"{row.cost:,.2f}",
    )


def _wait(seconds: float | None, step_s: float) -> str:
    if seconds is None:
        return "dropped"
    return _seconds(seconds) if seconds else f"< {_seconds(step_s)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _advice(report: StudyReport) -> str:
    target = f"{100 * report.wait_share:g}% of the requests to wait for {_seconds(report.wait_target_s)} at most"
    if report.recommended is None:
        return f"No bounds get {target}. Lower the load of each replica, or allow a longer wait."
    hours = {row.name: row.replica_hours for row in report.rows}
    advice = f"For {target}: min {report.recommended.min}, max {report.recommended.max}."
    saved = 1 - hours[RECOMMENDED] / hours[FEWEST] if hours.get(FEWEST) else 0.0
    verb = "fewer" if saved >= 0 else "more"
    return f"{advice} {abs(saved):.0%} {verb} replica-hours than the fewest fixed replicas that do so."
