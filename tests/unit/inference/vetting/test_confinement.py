"""The limits of a confined process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.inference.vetting import landlock

SCRIPT = """
import os, pathlib, signal, socket, sys
from services.inference.vetting.confinement import confine
confined = confine(2**30, 2, 1000, [pathlib.Path({folder!r})])
try:
    print({action})
except (OSError, MemoryError) as error:
    print(confined.{protection}, type(error).__name__)
else:
    print(confined.{protection}, "done")
"""
HAS_LANDLOCK = landlock.version() > 0


def confined(action: str, folder: Path = Path("/nowhere"), protection: str = "files") -> tuple[int, str]:
    """Return the exit status of a confined process that prints `action`, and the last line of its output."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    script = SCRIPT.format(action=action, folder=str(folder), protection=protection)
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout.splitlines()[-1] if process.stdout else process.stderr


def test_memory_is_limited() -> None:
    assert confined("bytearray(2**31)")[1].endswith("MemoryError")


def test_cpu_time_is_limited() -> None:
    assert confined("[0 for _ in iter(int, 1)]")[0] == -signal.SIGXCPU


def test_file_size_is_limited(tmp_path: Path) -> None:
    confined(f"open('{tmp_path}/file', 'wb', 0).write(bytes(2000))", tmp_path)

    assert (tmp_path / "file").stat().st_size == 1000


def test_connections_fail_if_the_network_could_be_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, output = confined(f"socket.create_connection({server.getsockname()})", protection="network")

    assert output in {"True OSError", "True PermissionError", "False done"}


@pytest.mark.parametrize(
    "action",
    [
        "open('{outside}/secret').read()",
        "os.listdir('{outside}')",
        "open('{outside}/new', 'w')",
        "os.truncate('{outside}/secret', 0)",
        "os.remove('{outside}/secret')",
        "os.rename('{inside}/own', '{outside}/own')",
        "os.link('{outside}/secret', '{inside}/linked')",
        "open('{inside}/way/secret').read()",
        "os.execv('/bin/sh', ['sh', '-c', 'true'])",
        "open('/proc/%d/environ' % os.getppid()).read()",
        "open('/etc/passwd').read()",
        "open('{repository}/pyproject.toml').read()",
    ],
)
def test_files_outside_of_its_folder_cannot_be_used(tmp_path: Path, action: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    (outside / "secret").write_text("secret")
    (inside / "own").write_text("own")
    (inside / "way").symlink_to(outside)
    repository = Path(__file__).parents[4]

    _, output = confined(action.format(inside=inside, outside=outside, repository=repository), inside)

    assert output in ({"True PermissionError", "True OSError"} if HAS_LANDLOCK else {"False done", ""})
    if HAS_LANDLOCK:
        assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize(
    "action",
    [
        "open('{inside}/own').read()",
        "os.listdir('{inside}')",
        "open('{inside}/new', 'w').write('new')",
        "os.rename('{inside}/own', '{inside}/moved')",
        "os.truncate('{inside}/own', 0)",
        "__import__('sqlite3')",
    ],
)
def test_files_in_its_folder_and_libraries_can_be_used(tmp_path: Path, action: str) -> None:
    (tmp_path / "own").write_text("own")

    assert confined(action.format(inside=tmp_path), tmp_path)[1] == f"{HAS_LANDLOCK} done"


def test_without_landlock_nothing_is_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "_CREATE_RULESET", 100_000)  # as on a kernel that does not know the system call

    assert landlock.version() == 0
    assert not landlock.restrict([], [])
    assert Path(__file__).read_text()
