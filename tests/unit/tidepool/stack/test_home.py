from pathlib import Path

import pytest

from tidepool.stack.home import Home


def test_the_home_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIDEPOOL_HOME", str(tmp_path / "elsewhere"))
    assert Home.from_environment().path == tmp_path / "elsewhere"


def test_the_default_home_is_in_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIDEPOOL_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Home.from_environment().path == tmp_path / ".tidepool"


def test_a_link_and_its_target_are_the_same_home(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert Home.at(tmp_path / "link") == Home.at(tmp_path / "target")


def test_other_users_cannot_read_the_folders(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    home.create()
    assert {folder.stat().st_mode & 0o077 for folder in (home.path, home.run, home.logs, home.data)} == {0}


def test_pid_files_and_logs_are_named_after_the_component(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    assert home.pid("inference-2") == tmp_path / "run" / "inference-2.pid"
    assert home.log("inference-2") == tmp_path / "log" / "inference-2.log"
