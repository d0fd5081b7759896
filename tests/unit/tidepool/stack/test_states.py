from pathlib import Path

from tidepool.stack.states import Report, State, load_reports, save_reports


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    reports = (Report(name="inference-2", role="inference", state=State.RESTARTING, restarts=3),)
    save_reports(tmp_path / "state", reports)
    assert load_reports(tmp_path / "state") == reports


def test_nothing_was_said_yet(tmp_path: Path) -> None:
    assert load_reports(tmp_path / "state") == ()


def test_settled() -> None:
    assert [state for state in State if state.settled] == [State.READY, State.FINISHED]
