"""The help of the command line, its exit codes, and errors as sentences"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import typer.main
from typer.testing import CliRunner

from contract.access import ApiKey
from tests.unit.tidepool.cli.conftest import Deployment, example, run
from tidepool.cli.app import app
from tidepool.cli.exits import MEANINGS
from tidepool.cli.root import LONGEST, PANELS


def commands(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command


ALL = dict(commands(typer.main.get_command(app)))


def test_the_root_lists_every_command_by_panel_and_every_exit_code() -> None:
    text = run("--help").out

    positions = [text.index(f"\n{panel}:\n") for panel in PANELS]
    assert positions == sorted(positions)
    assert all(f"\n  {name} " in text for panel in PANELS.values() for name in panel)
    assert all(f"{code.value:>3}  {meaning}" in text for code, meaning in MEANINGS.items())
    assert "tidepool train ./my-photos\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ALL)
def test_each_command_explains_itself_with_an_example(name: str) -> None:
    result = run(*name.split(), "--help")

    assert result.code == 0
    assert ALL[name].help.partition("\n")[0].endswith(".")
    assert f"\n    tidepool {name}" in result.out


def test_help_does_not_import_what_only_commands_need() -> None:
    code = "import sys, tidepool.cli.app; print({'tidepool_client', 'httpx', 'numpy', 'torch'} & sys.modules.keys())"

    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert printed == "set()\n"


def test_each_short_help_is_whole() -> None:
    assert [name for name, command in ALL.items() if command.get_short_help_str(LONGEST).endswith("...")] == []


def test_a_group_lists_its_commands() -> None:
    text = run("jobs", "--help").out

    assert "  logs    Print what a job did: states, progress, metrics of each epoch,\n          messages.\n" in text


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in run("--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'. See `tidepool --help`."),
        (["trian"], "No such command 'trian'. Did you mean 'train'? See `tidepool --help`."),
        (["train"], "Missing argument 'FOLDER|DATASET'. See `tidepool train --help`."),
        (["jobs", "ls", "--stat"], "No such option: --stat"),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], message: str) -> None:
    result = run(*words)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(message)
    assert len(result.err.splitlines()) == 1


def problem(status: int, code: str, detail: str) -> httpx.Response:
    body = {"status": status, "code": code, "detail": detail, "request_id": "abc"}
    return httpx.Response(status, json=body)


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (problem(401, "unauthenticated", "unknown API key"), 3, "Unknown API key (401 unauthenticated). Log in again"),
        (problem(403, "forbidden", "the key lacks read"), 3, "The key lacks read (403 forbidden)."),
        (
            problem(404, "not_found", "there is no such job"),
            3,
            "There is no such job (404 not_found). `tidepool jobs ls`",
        ),
        (problem(429, "too_many_requests", "slow down"), 3, "Slow down (429 too_many_requests)."),
        (problem(500, "internal", "internal error"), 5, "Internal error (500 internal). The server's log says more"),
        (httpx.Response(502, text="<html>"), 5, "Bad Gateway (502 http). Try again later."),
        (httpx.Response(200, text="<html>"), 5, "http://tidepool did not answer with JSON"),
    ],
)
def test_an_error_of_the_server_is_a_sentence_and_an_exit_code(
    deployment: Deployment, answer: httpx.Response, code: int, message: str
) -> None:
    deployment.on("GET", "/v1/jobs/j1", answer)

    result = run("jobs", "show", "j1", "--json")

    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(message)
    assert len(result.err.splitlines()) == 1


def test_a_server_that_does_not_answer_has_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TIDEPOOL_API_KEY", "tp_key")
    monkeypatch.setattr("tidepool.cli.connection.RETRIES", 0)

    result = run("jobs", "ls")

    assert (result.code, result.out) == (5, "")
    assert result.err.startswith("http://127.0.0.1:1 does not answer: ConnectError. Is the server running")


def test_a_defect_is_no_traceback(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidepool_client._sync.access.Keys.me", lambda self: 1 / 0)

    result = run("whoami")

    assert result.code == 1
    assert result.err.startswith("This is a defect of the command line (ZeroDivisionError). Please report it")
    monkeypatch.setenv("TIDEPOOL_DEBUG", "1")
    assert isinstance(CliRunner().invoke(app, ["whoami"]).exception, ZeroDivisionError)


def test_tables_are_not_cut_where_there_is_no_terminal(deployment: Deployment) -> None:
    key = example(ApiKey, name="n" * 63, scopes=["admin", "manage", "predict", "read", "review", "write"])
    deployment.on("GET", "/v1/keys", {"items": [key], "next": None})

    head, row = run("keys", "ls").out.splitlines()

    assert "n" * 63 in row
    assert "admin, manage, predict, read, review, write" in row
    assert (head, row) == (head.rstrip(), row.rstrip())
