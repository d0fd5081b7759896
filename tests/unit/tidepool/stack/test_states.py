from pathlib import Path

from contract.supervision import Report, State
from tidepool.stack.states import load_reports, save_reports


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    draining = Report(name="inference-2", role="inference", index=2, state=State.DRAINING, restarts=3, pid=42)
    reports = (Report(name="redis", role="redis", state=State.RESTARTING, restarts=0), draining)
    save_reports(tmp_path / "state", reports)
    assert load_reports(tmp_path / "state") == reports


def test_what_nobody_understands_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{")
    assert load_reports(tmp_path / "state") == ()


def test_nothing_was_said_yet(tmp_path: Path) -> None:
    assert load_reports(tmp_path / "state") == ()
