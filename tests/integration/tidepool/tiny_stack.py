"""Tiny components for tests of the supervisor, and the only place that waits for a process to get somewhere."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from tidepool.stack.components import Component, Plan

SLEEP = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
CRASH = "import sys; sys.exit('broken on purpose')"


def python(role: str, code: str, *arguments: object, stage: int = 0, **fields: object) -> Component:
    """A component that runs a piece of Python."""
    command = (sys.executable, "-S", "-c", code, *map(str, arguments))
    return Component.model_validate({"role": role, "stage": stage, "command": command, "environment": {}} | fields)


def parent(role: str, note: Path) -> Component:
    """A component with a child in a session of its own, whose pid it notes."""
    code = (
        "import pathlib, signal, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}], start_new_session=True)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "signal.pause()"
    )
    return python(role, code, note)


def plan(*components: Component) -> Plan:
    return Plan(url="http://127.0.0.1", components=components)


def eventually(condition: Callable[[], object], within: float = 15.0) -> None:
    """Return as soon as the condition holds; fail if it does not within that many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
