"""What a confined process cannot do any more."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ATTEMPT = """
import socket, sys
from services.inference.vetting.confinement import confine
cut = confine(2**30, 2, 1000)
try:
    {action}
except (OSError, MemoryError) as error:
    print(cut, type(error).__name__)
else:
    print(cut, "done")
"""


def confined(action: str) -> tuple[int, str]:
    """The exit status and the words of a process that tries to do this."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ATTEMPT.format(action=action)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_it_has_no_more_memory_than_it_may() -> None:
    assert confined("bytearray(2**31)")[1].endswith("MemoryError\n")


def test_it_has_no_more_time_than_it_may() -> None:
    assert confined("while True: pass")[0] == -signal.SIGXCPU


def test_it_writes_no_larger_files(tmp_path: Path) -> None:
    assert confined(f"print(open('{tmp_path}/file', 'wb', 0).write(bytes(2000)))")[1].startswith("1000\n")


def test_it_reaches_nobody_where_the_network_can_be_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, said = confined(f"socket.create_connection({server.getsockname()})")

    assert said in {"True OSError\n", "False done\n"}
