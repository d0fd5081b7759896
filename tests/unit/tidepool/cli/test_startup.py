import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from tidepool.cli.startup import replicas_of, start
from tidepool.errors import Trouble
from tidepool.stack.components import Plan
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.supervisor import NAME as SUPERVISOR


def test_replicas() -> None:
    assert replicas_of(["inference=2", "preprocess=3"]) == {"inference": 2, "preprocess": 3}


@pytest.mark.parametrize("text", ["inference", "inference=", "inference=two", "inference=-1"])
def test_what_is_no_scale_is_said(text: str) -> None:
    with pytest.raises(Trouble, match=text):
        replicas_of([text])


def test_a_scale_that_comes_too_late(tmp_path: Path) -> None:
    # given a stack that runs
    home = Home.at(tmp_path / "home")
    home.create()
    PidFile(home.pid(SUPERVISOR)).write(os.getpid())
    Plan(url="http://127.0.0.1:8080", components=()).save(home.plan_file)

    # when it is to start with another number of replicas
    console = Console(file=io.StringIO())
    with pytest.raises(Trouble, match="tidepool scale inference 3"):
        start(console, home, ["inference=3"])

    # then what runs goes on, and without a scale there is no trouble
    start(console, home, [])
