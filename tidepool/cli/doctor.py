"""`tidepool doctor`: check the machine, the stack and the deployment, and say what to do."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import typer

from contract import __version__
from contract.health import Check, HealthReport, Level, warning, worst
from tidepool.cli import connection
from tidepool.cli.connection import Target, current_home, find_target
from tidepool.cli.exits import ExitCode
from tidepool.cli.output import Json, clean, print_json, stderr, stdout
from tidepool.cli.root import command
from tidepool.errors import UserFacingError
from tidepool.stack.home import Home

if TYPE_CHECKING:
    from rich.console import Console

# ruff: noqa: PLC0415  commands import what they need, so that the others start quickly

COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
TIMEOUT_S = 15.0  # of a request; each of the gateway's checks has a deadline of 5 s


class Section(NamedTuple):
    """Checks, and the exit code if one of them is a problem."""

    checks: Sequence[Check]
    code: ExitCode


@command("doctor", "tidepool doctor", "tidepool doctor --json", "TIDEPOOL_URL=https://pool.example.com tidepool doctor")
def doctor(as_json: Json = False) -> None:
    """Check this machine and the deployment, and say what to do.

    Works as far as it can while the stack is down. For a remote deployment, the key must be one of the instance's
    admin; others see less. Exits with 0 if there is no problem, warnings aside.
    """
    home = current_home()
    with stderr().status("Checking"):
        sections = list(_sections(home))
    checks = tuple(check for section in sections for check in section.checks)
    if as_json:
        print_json(HealthReport(status=worst(checks), version=__version__, at=datetime.now(UTC), checks=checks))
    else:
        print_checks(stdout(), checks)
    raise typer.Exit(code_of(sections))


def code_of(sections: Iterable[Section]) -> ExitCode:
    """Return the code of the last section with a problem: that of the deployment before that of the machine."""
    codes = [section.code for section in sections if worst(section.checks) is Level.PROBLEM]
    return codes[-1] if codes else ExitCode.OK


def print_checks(console: "Console", checks: Sequence[Check]) -> None:
    """Print a line for each check, by component, and below it what to do."""
    width = max(len(check.name) for check in checks)
    for component, lines in groupby(checks, key=lambda check: check.component):
        console.print(clean(component), style="bold", markup=False)
        for check in lines:
            _print_check(console, check, width)
    counts = {level: sum(check.level is level for check in checks) for level in Level}
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    if problems or warnings:
        console.print(f"\n{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}.", soft_wrap=True)
    else:
        console.print("\nEverything is fine.")


def _sections(home: Home) -> Iterator[Section]:
    from tidepool.doctor.local_stack import file_checks, process_checks
    from tidepool.doctor.machine import machine_checks

    yield Section(tuple(machine_checks(home)), ExitCode.FAILED)
    yield Section(tuple(file_checks(home)), ExitCode.FAILED)
    try:
        target = find_target(home)
    except (UserFacingError, OSError) as error:  # the latter if the folder is another user's
        yield Section(tuple(process_checks(home)), ExitCode.FAILED)
        message = error.strerror if isinstance(error, OSError) else str(error)
        advice = "Then run `tidepool doctor` again."
        yield Section((warning("connection", "address", f"no deployment to check: {message}", advice),), ExitCode.OK)
        return
    if target.is_stack:
        yield Section(tuple(process_checks(home)), ExitCode.FAILED)
    yield _deployment(target)


def _deployment(target: Target) -> Section:
    from tidepool.doctor.deployment import KeyRefused, deployment_checks

    checks: list[Check] = []
    with connection.new_client(
        target.url, target.key, project=target.project, verify=target.verify, timeout=TIMEOUT_S, retries=0
    ) as client:
        try:
            for check in deployment_checks(client, target.source):
                checks.append(check)  # those before an error count
        except KeyRefused as error:
            return Section((*checks, error.check), ExitCode.REFUSED)
    return Section(checks, ExitCode.UNREACHABLE)


def _print_check(console: "Console", check: Check, width: int) -> None:
    from rich.text import Text

    latency = "" if check.latency_ms is None else f"  [{check.latency_ms:.1f} ms]"
    text = Text("  ").append(f"{check.level:<8}", COLOURS[check.level])
    text.append(f" {clean(check.name):<{width}}  {clean(check.message)}{latency}")
    console.print(text, soft_wrap=True)
    if check.advice:
        console.print(Text(f"{'':<{width + 13}}{clean(check.advice)}", "dim"), soft_wrap=True)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
