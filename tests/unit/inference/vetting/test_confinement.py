"""The limits of a confined process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = """
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
    """Return the exit status and the output of a confined process that runs `action`."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT.format(action=action)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return process.returncode, process.stdout


def test_memory_is_limited() -> None:
    assert confined("bytearray(2**31)")[1].endswith("MemoryError\n")


def test_cpu_time_is_limited() -> None:
    assert confined("while True: pass")[0] == -signal.SIGXCPU


def test_file_size_is_limited(tmp_path: Path) -> None:
    assert confined(f"print(open('{tmp_path}/file', 'wb', 0).write(bytes(2000)))")[1].startswith("1000\n")


def test_connections_fail_if_the_network_could_be_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, output = confined(f"socket.create_connection({server.getsockname()})")

    assert output in {"True OSError\n", "False done\n"}
