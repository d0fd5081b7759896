"""How long the start of a stack may take."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.supervision import ComponentReport, State
from tidepool.errors import StackFailed
from tidepool.stack import stack as module
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home
from tidepool.stack.shared_files import save_reports
from tidepool.stack.stack import Stack


@pytest.mark.parametrize(("ready_s", "starts"), [(170, True), (190, False)])
def test_a_busy_machine_may_take_three_minutes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ready_s: float, starts: bool
) -> None:
    now, stack = 0.0, Stack(Home.at(tmp_path / "home"))

    def sleep(_: float) -> None:
        nonlocal now
        now += 10
        state = State.READY if now >= ready_s else State.STARTING
        save_reports(stack.home.state_file, [ComponentReport(name="worker", role="worker", state=state, restarts=0)])

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(Stack, "_start_supervisor", lambda _: SimpleNamespace(poll=lambda: None))

    def up() -> bool:
        return stack.up(lambda: StackPlan(url="", components=()))

    if starts:
        assert up()
    else:
        with pytest.raises(StackFailed, match="worker was not ready within 180 s; if the machine is busy, try again"):
            up()
