"""`tidepool up` as a person sees it: what is being started, and then where it is."""

from collections.abc import Sequence

from rich.console import Console

from contract.supervision import Report
from tidepool.errors import StackFailed, Trouble
from tidepool.stack.blueprint import draw_plan, wanted_port
from tidepool.stack.components import Plan
from tidepool.stack.credentials import admin_key
from tidepool.stack.home import Home
from tidepool.stack.stack import Stack


def start(console: Console, home: Home, scale: Sequence[str]) -> None:
    """Bring the stack up and print its addresses; a key that was made just now is shown once.

    Raises Trouble, also where a scale comes too late, as the stack runs already.
    """
    replicas, port, first = replicas_of(scale), wanted_port(), not home.key_file.exists()
    with console.status("Starting") as spinner:

        def on_look(reports: Sequence[Report]) -> None:
            waiting = ", ".join(report.name for report in reports if not report.state.settled)
            spinner.update(f"Starting {waiting}")

        try:
            started = Stack(home).up(lambda: draw_plan(home, port, replicas), on_look)
        except StackFailed as failure:
            console.print(failure.log, style="dim", markup=False, highlight=False)
            raise
    url = Plan.load(home.plan_file).url
    console.print(f"[bold green]Tidepool is {'up' if started else 'already running'}.[/]")
    key = f"{home.key_file}" + (f"\n{'':<17}{admin_key(home)}  (shown this once)" if first else "")
    lines = {"API": url, "Documentation": f"{url}/docs", "Logs": home.logs, "API key": key}
    for what, where in lines.items():
        console.print(f"  {what:<14} {where}", highlight=False, soft_wrap=True)
    console.print(f'Try it:  curl -H "Authorization: Bearer $(cat {home.key_file})" {url}/v1/me', soft_wrap=True)
    if replicas and not started:
        commands = "; ".join(f"tidepool scale {role} {count}" for role, count in replicas.items())
        raise Trouble(f"--scale is for a stack that starts. This one runs: {commands}")


def replicas_of(scale: Sequence[str]) -> dict[str, int]:
    """`["inference=2"]` as a mapping; raises Trouble."""
    replicas = {}
    for text in scale:
        role, _, count = text.partition("=")
        if not count.isdecimal():
            raise Trouble(f"{text!r} is no scale; write it like inference=2")
        replicas[role] = int(count)
    return replicas
