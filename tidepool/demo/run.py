"""The demonstration from start to end: a stack of its own, the road, the summary, and nothing left running."""

import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from contract.supervision import Report, State
from tidepool.client import Client
from tidepool.demo.road import Step, walk
from tidepool.demo.show import Show
from tidepool.demo.summary import print_summary
from tidepool.errors import ApiError, JobUnsuccessful, StackFailed, Trouble
from tidepool.stack.blueprint import draw_plan
from tidepool.stack.credentials import admin_key
from tidepool.stack.files import last_lines
from tidepool.stack.home import Home
from tidepool.stack.ports import HOST, free_ports
from tidepool.stack.stack import TAIL, Stack
from tidepool.stack.status import status_of

SAMPLE = Path(__file__).parents[2] / "examples" / "cifar10-sample.zip"


def run_demo(console: Console, *, archive: Path, epochs: int | None, folder: Path | None, keep: bool) -> bool:
    """Whether all of it worked; what did not is explained on the console.

    The stack lives in `folder`, or in a temporary one that is removed at the end unless it is kept or something failed.
    """
    home = Home.at(folder or Path(tempfile.mkdtemp(prefix="tidepool-demo-")))
    if status_of(home).supervised:
        console.print(f"A stack is running in {home.path}; the demonstration needs a folder of its own.")
        return False
    (port,) = free_ports(1)
    url = f"http://{HOST}:{port}"
    try:
        with _stack(home, keep=keep), Show(console) as show:
            with show.step(Step.START) as update:
                Stack(home).up(lambda: draw_plan(home, port), lambda reports: update(*_readiness(reports)))
            with Client(url, admin_key(home)) as client:
                journey = walk(client, archive, epochs=epochs, show=show)
    except Trouble as trouble:
        _explain(console, home, trouble)
        return False
    except (KeyboardInterrupt, SystemExit):
        if not folder:
            shutil.rmtree(home.path)
        raise
    print_summary(console, journey, show.seconds)
    _where_next(console, home, url, keep=keep)
    if not (keep or folder):
        shutil.rmtree(home.path)
    return True


@contextmanager
def _stack(home: Home, *, keep: bool) -> Iterator[None]:
    """Stop the stack at the end, also when this process is told to stop; keep it only if all went well."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        yield
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
            Stack(home).down()
            signal.signal(signal.SIGINT, before)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _readiness(reports: Sequence[Report]) -> tuple[float, str]:
    wanted = [report for report in reports if report.state is not State.STOPPED]
    waiting = [report.name for report in wanted if not report.state.settled]
    return (len(wanted) - len(waiting)) / max(1, len(wanted)), ", ".join(waiting)


def _explain(console: Console, home: Home, trouble: Trouble) -> None:
    log = trouble.log if isinstance(trouble, StackFailed) else last_lines(home.log(_blamed(trouble)), TAIL)
    console.print(log, style="dim", markup=False, highlight=False, soft_wrap=True)
    console.print(f"All logs: {home.logs}", highlight=False, soft_wrap=True)
    console.print(f"[bold red]The demonstration failed.[/] {escape(str(trouble))}", highlight=False, soft_wrap=True)


def _blamed(trouble: Trouble) -> str:
    """The component whose log most likely says why."""
    if isinstance(trouble, JobUnsuccessful):
        return trouble.job.kind.pool
    if isinstance(trouble, ApiError) and trouble.request_id is None:
        return "supervisor"
    return "gateway"


def _where_next(console: Console, home: Home, url: str, *, keep: bool) -> None:
    if keep:
        console.print(f"\nThe stack is still up: {url}/docs, key in {home.key_file}")
        console.print(f"Stop it with: TIDEPOOL_HOME={home.path} make down", highlight=False)
        return
    console.print("\nNothing is left running. To keep a stack:  [bold]make up[/], and later  [bold]make down[/]")
    console.print("It answers at http://127.0.0.1:8080, and documents itself at http://127.0.0.1:8080/docs")
