"""`tidepool login`, `logout`, `whoami` and `open`"""

import pytest

from contract.access import ApiKey
from tests.unit.tidepool.cli.conftest import Deployment, example, run
from tidepool.cli import account
from tidepool.cli.servers import Server, Servers, load_servers, save_servers

ME = example(ApiKey)


@pytest.fixture
def deployment(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that knows one key, and is named by no variable."""
    for name in ("TIDEPOOL_URL", "TIDEPOOL_API_KEY"):
        monkeypatch.delenv(name)
    deployment.on("GET", "/v1/me", ME)
    return deployment


def test_a_login_is_checked_and_kept(deployment: Deployment) -> None:
    result = run("login", "pool.example.com", typed="tp_mine\n")

    assert (result.code, result.err) == (0, "")
    assert result.out == ("Logged in to https://pool.example.com as laptop: predict, read in the project default.\n")
    assert deployment.requests[0].headers["Authorization"] == "Bearer tp_mine"
    assert load_servers() == Servers().with_server("https://pool.example.com", Server(key="tp_mine"))


def test_a_key_that_the_server_does_not_know_is_not_kept(deployment: Deployment) -> None:
    problem = {"status": 401, "code": "unauthenticated", "detail": "unknown API key"}
    deployment.on("GET", "/v1/me", problem, status=401)

    result = run("login", "pool.example.com", typed="tp_wrong")

    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("Unknown API key (401 unauthenticated).")
    assert load_servers() == Servers()


def test_a_login_without_a_key_is_wrong_usage(deployment: Deployment) -> None:
    result = run("login", "pool.example.com", typed="")

    assert (result.code, deployment.requests) == (2, [])
    assert "tidepool login URL < key.txt" in result.err


def test_a_known_server_becomes_the_current_one_without_a_key(deployment: Deployment) -> None:
    save_servers(Servers().with_server("https://a", Server(key="tp_a")).with_server("https://b", Server(key="tp_b")))

    assert run("login", "https://a", typed="").code == 0

    assert load_servers().current == "https://a"
    assert deployment.requests[0].headers["Authorization"] == "Bearer tp_a"


def test_a_login_acts_in_a_project(deployment: Deployment) -> None:
    assert "in the project lab" in run("login", "localhost:8080", "--project", "lab", typed="tp_mine").out
    assert "localhost:8080" in run("whoami").out

    assert [request.headers["Tidepool-Project"] for request in deployment.requests] == ["lab", "lab"]


def test_a_login_over_plain_http_is_warned_about(deployment: Deployment) -> None:
    assert "without https" in run("login", "http://10.0.0.5:8080", typed="tp_mine").err
    assert run("login", "http://[::1]:8080", typed="tp_mine").err == ""


def test_logins_are_listed_and_forgotten(deployment: Deployment) -> None:
    assert "You are not logged in" in run("login").err

    run("login", "https://a", typed="tp_a")
    run("login", "https://b", typed="tp_b")

    assert run("login").out.split() == ["server", "project", "https://a", "–", "*", "https://b", "–"]
    assert "The current server is https://a now." in run("logout").out
    assert run("logout", "b").code == 1
    assert run("logout", "https://a").code == 0
    assert load_servers() == Servers()


def test_whoami_says_which_server_and_why(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_URL", "http://tidepool")
    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_key")

    text = run("whoami").out

    assert "http://tidepool, from TIDEPOOL_URL and TIDEPOOL_API_KEY" in text
    assert "predict, read in the project default" in text
    assert run("whoami", "--json").json == ME


def test_open_prints_the_address_and_opens_a_browser_if_there_is_one(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", opened.append)
    save_servers(Servers().with_server("https://a", Server(key="tp_a")))
    deployment.on("POST", "/console/links", {"path": "/sign-in?token=once"})

    monkeypatch.setattr(account, "_has_browser", lambda: False)
    assert run("open").out == "https://a/sign-in?token=once\n"
    monkeypatch.setattr(account, "_has_browser", lambda: True)
    run("open", "--no-browser")
    assert opened == []
    run("open")
    assert opened == ["https://a/sign-in?token=once"]


def test_open_prints_the_address_of_a_server_without_a_console(deployment: Deployment) -> None:
    save_servers(Servers().with_server("https://a", Server(key="tp_a")))

    assert run("open", "--no-browser").out == "https://a/\n"
