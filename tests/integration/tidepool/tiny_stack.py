"""Tiny components for tests of the supervisor, and a wait for a condition."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tidepool.stack.components import Component, StackPlan

SLEEP = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
CRASH = "import sys; sys.exit('broken on purpose')"


def python(role: str, code: str, *arguments: object, stage: int = 0, **fields: object) -> Component:
    """A component that runs Python code."""
    command = (sys.executable, "-S", "-c", code, *map(str, arguments))
    return Component.model_validate({"role": role, "stage": stage, "command": command, "environment": {}} | fields)


def parent(role: str, note: Path) -> Component:
    """A component that starts a child in a new session and writes the child's pid to a file."""
    code = (
        "import pathlib, signal, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}], start_new_session=True)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "signal.pause()"
    )
    return python(role, code, note)


def plan(*components: Component) -> StackPlan:
    return StackPlan(url="http://127.0.0.1", components=components)


def eventually(condition: Callable[[], object], within: float = 15.0) -> None:
    """Return as soon as the condition holds; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {within} s"
        time.sleep(0.02)
