"""Which deployment a command talks to"""

from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tidepool.cli.connection import Target, connect, current_home, find_target
from tidepool.cli.servers import Server, Servers, load_servers, save_servers
from tidepool.errors import UserFacingError
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


def start(home: Home, url: str = "http://127.0.0.1:8123", certificate: Path | None = None) -> None:
    home.create()
    StackPlan(url=url, components=(), certificate=certificate).save(home.plan_file)
    home.key_file.write_text("tp_secret\n")


def log_in(url: str, project: str | None = None) -> None:
    save_servers(Servers().with_server(url, Server(key="tp_login", project=project)))


def test_connecting_fails_without_a_stack_and_a_login(home: Home) -> None:
    with pytest.raises(UserFacingError, match=r"No stack is running in .* `tidepool login URL`"):
        connect(home)


def test_the_stack_in_the_home_goes_before_a_login(home: Home) -> None:
    log_in("https://pool.example.com")
    start(home)

    target = find_target(home)

    assert (target.url, target.key) == ("http://127.0.0.1:8123", "tp_secret")
    assert target.source == f"the stack in {home.path}"


def test_a_login_is_used_where_no_stack_runs(home: Home) -> None:
    log_in("https://pool.example.com", "lab")

    assert find_target(home) == Target("https://pool.example.com", "tp_login", "your login", "lab")


def test_commands_in_another_folder_find_the_stack_that_was_started_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, started = tmp_path / "photos", Home.at(tmp_path / "clone" / ".tidepool")
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("TIDEPOOL_HOME")
    start(started)
    log_in("https://pool.example.com")

    save_servers(load_servers().with_stack(started.path))
    assert find_target(current_home()).source == f"the stack in {started.path}"

    log_in("https://pool.example.com")
    assert find_target(current_home()).source == "your login"


def test_the_stack_of_the_folder_goes_before_the_one_that_was_started_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEPOOL_HOME")
    (tmp_path / ".tidepool").mkdir()
    (tmp_path / "other").mkdir()
    save_servers(Servers().with_stack(tmp_path / "other"))

    assert current_home() == Home.at(tmp_path / ".tidepool")


def test_a_stack_with_a_certificate_is_reached_by_https(home: Home, tmp_path: Path) -> None:
    start(home, "https://127.0.0.1:8123", Authority(tmp_path).issue().cert)

    with connect(home) as client:
        assert client.url == "https://127.0.0.1:8123"


def test_the_environment_goes_before_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    start(home)
    monkeypatch.setenv("TIDEPOOL_URL", "http://tidepool:80/")
    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_other")

    target = find_target(home)

    assert (target.url, target.key) == ("http://tidepool:80", "tp_other")


def test_an_address_alone_uses_the_key_of_the_login_or_of_the_stack(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(home)
    log_in("https://pool.example.com")

    monkeypatch.setenv("TIDEPOOL_URL", "https://pool.example.com")
    assert find_target(home).key == "tp_login"
    monkeypatch.setenv("TIDEPOOL_URL", "http://127.0.0.1:8123")
    assert find_target(home).key == "tp_secret"
    monkeypatch.setenv("TIDEPOOL_URL", "https://unknown.example.com")
    with pytest.raises(UserFacingError, match=r"tidepool login https://unknown\.example\.com"):
        find_target(home)


def test_a_key_alone_is_not_sent_anywhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in("https://pool.example.com")
    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_other")

    with pytest.raises(UserFacingError, match="Set TIDEPOOL_URL as well"):
        find_target(home)
