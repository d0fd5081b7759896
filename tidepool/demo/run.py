"""Run the demo: start a separate stack, run the workflow, print the summary, and stop the stack."""

import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape

from contract.supervision import ComponentReport, State
from tidepool.demo.progress import ProgressDisplay
from tidepool.demo.summary import print_summary
from tidepool.demo.workflow import Step, run_workflow
from tidepool.errors import StackFailed, UserFacingError
from tidepool.stack.blueprint import draw_plan
from tidepool.stack.components import StackPlan
from tidepool.stack.credentials import admin_key
from tidepool.stack.files import last_lines
from tidepool.stack.home import Home
from tidepool.stack.ports import free_ports
from tidepool.stack.stack import TAIL, Stack
from tidepool.stack.status import status_of
from tidepool_client import Client, ClientError, JobUnsuccessful, Unreachable

EXAMPLES = Path(__file__).parents[2] / "examples"
# The archives, and the fields of their training jobs: the classic small network, then whatever the data decide.
SAMPLES: dict[Path, dict[str, Any]] = {
    EXAMPLES / "cifar10-sample.zip": {"architecture": {"name": "cnn"}},
    EXAMPLES / "clothing-sample.zip": {},
}


def run_demo(console: Console, *, archives: Mapping[Path, Mapping[str, Any]], folder: Path | None, keep: bool) -> bool:
    """Go from each archive to a served model and return whether that succeeded; explain a failure on the console.

    The values of `archives` are fields of the training job.

    The stack is in `folder`, or in a temporary one that is removed at the end unless `keep` is set or the demo failed.
    """
    home = Home.at(folder or Path(tempfile.mkdtemp(prefix="tidepool-demo-")))
    if status_of(home).supervised:
        console.print(f"A stack is running in {home.path}; the demo needs another folder.")
        return False
    (port,) = free_ports(1)
    try:
        with _stack(home, keep=keep):
            with ProgressDisplay(console) as display, display.step(Step.START) as update:
                Stack(home).up(lambda: draw_plan(home, port), lambda reports: update(*_readiness(reports)))
            plan = StackPlan.load(home.plan_file)
            with Client(plan.url, admin_key(home), verify=plan.trust()) as client:
                for archive, recipe in archives.items():
                    _run(console, client, archive, recipe)
    except (UserFacingError, ClientError) as error:
        _explain(console, home, error)
        return False
    except (KeyboardInterrupt, SystemExit):
        if not folder:
            shutil.rmtree(home.path)
        raise
    _print_next_steps(console, home, plan.url, keep=keep)
    if not (keep or folder):
        shutil.rmtree(home.path)
    return True


def _run(console: Console, client: Client, archive: Path, recipe: Mapping[str, Any]) -> None:
    console.print(f"\n[bold]{escape(archive.name)}[/]", highlight=False)
    with ProgressDisplay(console) as display:
        result = run_workflow(client, archive, recipe=recipe, display=display)
    print_summary(console, result, display.seconds)


@contextmanager
def _stack(home: Home, *, keep: bool) -> Iterator[None]:
    """Stop the stack at the end, also after SIGTERM or SIGHUP; keep it only if the demo succeeded."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    try:
        yield
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stop
            Stack(home).down()
            signal.signal(signal.SIGINT, before)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _readiness(reports: Sequence[ComponentReport]) -> tuple[float, str]:
    desired = [report for report in reports if report.state is not State.STOPPED]
    waiting = [report.name for report in desired if not report.state.settled]
    return (len(desired) - len(waiting)) / max(1, len(desired)), ", ".join(waiting)


def _explain(console: Console, home: Home, error: Exception) -> None:
    log = error.log if isinstance(error, StackFailed) else last_lines(home.log(_failed_component(error)), TAIL)
    console.print(log, style="dim", markup=False, highlight=False, soft_wrap=True)
    console.print(f"All logs: {home.logs}", highlight=False, soft_wrap=True)
    console.print(f"[bold red]The demo failed.[/] {escape(str(error))}", highlight=False, soft_wrap=True)


def _failed_component(error: Exception) -> str:
    """Return the component whose log most likely shows the cause."""
    if isinstance(error, JobUnsuccessful):
        return error.job.kind.pool
    if isinstance(error, Unreachable):
        return "supervisor"
    return "gateway"


def _print_next_steps(console: Console, home: Home, url: str, *, keep: bool) -> None:
    if keep:
        console.print(f"\nThe stack is still running: {url}/docs, key in {home.key_file}")
        console.print(f"Stop it with: TIDEPOOL_HOME={home.path} make down", highlight=False)
        return
    console.print("\nThe demo's stack is stopped. To start a stack:  [bold]make up[/]. To stop it:  [bold]make down[/]")
    console.print(
        "Its API is at http://127.0.0.1:8080, the documentation at http://127.0.0.1:8080/docs", soft_wrap=True
    )
