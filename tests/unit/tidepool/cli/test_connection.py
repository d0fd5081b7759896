from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tidepool.cli.connection import connect
from tidepool.errors import UserFacingError
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIDEPOOL_URL", "TIDEPOOL_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


def address_of(home: Home) -> tuple[str, str]:
    with connect(home) as client:
        http = client._http._http
        return str(http.base_url).rstrip("/"), http.headers["Authorization"]


def test_connecting_fails_when_no_stack_runs(home: Home) -> None:
    with pytest.raises(UserFacingError, match="No stack is running in"):
        connect(home)


def test_the_default_is_the_stack_in_the_home(home: Home) -> None:
    home.create()
    StackPlan(url="http://127.0.0.1:8123", components=()).save(home.plan_file)
    home.key_file.write_text("tp_secret\n")

    assert address_of(home) == ("http://127.0.0.1:8123", "Bearer tp_secret")


def test_a_stack_with_a_certificate_is_reached_by_https(home: Home, tmp_path: Path) -> None:
    home.create()
    certificate = Authority(tmp_path).issue().cert
    StackPlan(url="https://127.0.0.1:8123", components=(), certificate=certificate).save(home.plan_file)
    home.key_file.write_text("tp_secret\n")

    assert address_of(home) == ("https://127.0.0.1:8123", "Bearer tp_secret")


def test_the_environment_names_another_deployment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_URL", "http://tidepool:80")
    with pytest.raises(UserFacingError, match="Set both"):
        connect(home)

    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_other")

    assert address_of(home)[1] == "Bearer tp_other"
