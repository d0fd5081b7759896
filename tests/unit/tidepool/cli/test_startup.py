import io
import os
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from tests.unit.tidepool.cli.conftest import Deployment
from tidepool.cli.startup import replicas_of, start
from tidepool.errors import UserFacingError
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.supervisor import NAME as SUPERVISOR


def test_scales_are_parsed() -> None:
    assert replicas_of(["inference=2", "preprocess=3"]) == {"inference": 2, "preprocess": 3}


@pytest.mark.parametrize("text", ["inference", "inference=", "inference=two", "inference=-1"])
def test_an_invalid_scale_is_named_in_the_error(text: str) -> None:
    with pytest.raises(UserFacingError, match=text):
        replicas_of([text])


@pytest.mark.parametrize("folder", ["certificates", "my certificates"])
def test_the_command_to_try_it_trusts_the_stacks_certificate(tmp_path: Path, folder: str) -> None:
    # given a stack with HTTPS that runs
    home, output = Home.at(tmp_path / "home"), io.StringIO()
    home.create()
    PidFile(home.pid(SUPERVISOR)).write(os.getpid())
    certificate = tmp_path / folder / "cert.pem"
    StackPlan(url="https://127.0.0.1:8080", components=(), certificate=certificate).save(home.plan_file)

    start(Console(file=output), home, [])

    (command,) = (line for line in output.getvalue().splitlines() if line.startswith("Try it:"))
    arguments = shlex.split(command.removeprefix("Try it:"))
    assert arguments[:3] == ["curl", "--cacert", str(certificate)]
    assert arguments[-1] == "https://127.0.0.1:8080/v1/me"


def test_a_scale_for_a_running_stack_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    # given a stack that runs
    home = Home.at(tmp_path / "home")
    home.create()
    PidFile(home.pid(SUPERVISOR)).write(os.getpid())
    StackPlan(url="http://127.0.0.1:8080", components=()).save(home.plan_file)
    home.key_file.write_text("tp_secret\n")
    deployment.on("POST", "/console/links", {"path": "/sign-in?token=once"})

    # when `up` names another number of replicas
    console = Console(file=io.StringIO())
    with pytest.raises(UserFacingError, match="tidepool scale inference 3"):
        start(console, home, ["inference=3"])

    # then the stack keeps running, and `up` without a scale succeeds, with a link that signs in
    console = Console(file=io.StringIO(), width=200)
    start(console, home, [])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Console        http://127.0.0.1:8080/sign-in?token=once  (signs in once, within 15 minutes)" in text
    assert "tidepool train ./my-photos" in text
