"""`tidepool up`: show the progress of the start, then the addresses."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from contract.supervision import ComponentReport
from tidepool.cli.connection import connect_to_stack, console_address
from tidepool.errors import StackFailed, UserFacingError
from tidepool.stack.blueprint import configured_gateways, configured_pin, configured_port, draw_plan
from tidepool.stack.components import StackPlan
from tidepool.stack.credentials import admin_key
from tidepool.stack.home import Home
from tidepool.stack.stack import Stack
from tidepool_client import ClientError


def start(
    console: Console, home: Home, scale: Sequence[str], gateways: int | None = None, pin: int | None = None
) -> None:
    """Start the stack and print its addresses, and the API key if it is new.

    Raises UserFacingError, also if `scale`, `gateways` or `pin` is given and the stack is running already.
    """
    replicas, port, first = replicas_of(scale), configured_port(), not home.key_file.exists()
    count, cores = gateways or configured_gateways(), configured_pin() if pin is None else pin
    with console.status("Starting") as spinner:

        def on_reports(reports: Sequence[ComponentReport]) -> None:
            waiting = ", ".join(report.name for report in reports if not report.state.settled)
            spinner.update(f"Starting {waiting}")

        try:
            started = Stack(home).up(lambda: draw_plan(home, port, replicas, count, cores), on_reports)
        except StackFailed as failure:
            console.print(failure.log, style="dim", markup=False, highlight=False)
            raise
    plan = StackPlan.load(home.plan_file)
    url, trust = plan.url, "" if plan.certificate is None else f"--cacert {shlex.quote(str(plan.certificate))} "
    console.print(f"[bold green]Tidepool is {'up' if started else 'already running'}.[/]")
    key = f"{home.key_file}" + (f"\n{'':<17}{admin_key(home)}  (shown only once)" if first else "")
    lines = {
        "Console": _console_page(home, url),
        "API": url,
        "Documentation": f"{url}/docs",
        "Logs": home.logs,
        "API key": key,
    }
    for label, value in lines.items():
        console.print(f"  {label:<14} {value}", highlight=False, soft_wrap=True)
    header = f"Authorization: Bearer $(cat {shlex.quote(str(home.key_file))})"
    console.print(f'Try it:  curl {trust}-H "{header}" {url}/v1/me', markup=False, soft_wrap=True)
    for line in next_steps():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if replicas and not started:
        commands = "; ".join(f"tidepool scale {role} {count}" for role, count in replicas.items())
        raise UserFacingError(f"--scale only works when the stack starts. For a running stack use: {commands}")
    if (gateways or pin is not None) and not started:
        raise UserFacingError("--gateways and --pin only work when the stack starts. Stop it with `tidepool down`.")


def _console_page(home: Home, url: str) -> str:
    try:
        with connect_to_stack(home) as client:
            return f"{console_address(client)}  (signs in once, within 15 minutes)"
    except (UserFacingError, ClientError):  # the first key was revoked
        return f"{url}/"


def next_steps() -> list[str]:
    """Return what to type after the start; also how to find `tidepool`, if the shell does not."""
    steps = ["Next:", "  tidepool train ./my-photos    a folder that has a folder of photos for each class"]
    if shutil.which("tidepool") is None:
        steps.insert(1, f'  export PATH="{Path(sys.executable).parent}:$PATH"    so that the shell finds tidepool')
    return steps


def replicas_of(scale: Sequence[str]) -> dict[str, int]:
    """Parse `["inference=2"]` into a mapping; raises UserFacingError."""
    replicas = {}
    for text in scale:
        role, _, count = text.partition("=")
        if not count.isdecimal():
            raise UserFacingError(f"{text!r} is not a valid scale; write it like inference=2")
        replicas[role] = int(count)
    return replicas
