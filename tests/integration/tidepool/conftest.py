"""A stack in a temporary home, stopped after each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidepool.stack.home import Home
from tidepool.stack.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(Home.at(tmp_path / "home"))
    yield stack
    stack.down()
