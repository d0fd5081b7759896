"""Confine a process, irreversibly, before it opens an untrusted file."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from services.inference.vetting.landlock import restrict

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# Shared libraries that a thread loads when it ends, and how many cores there are.
_SYSTEM = tuple(
    map(
        Path, ("/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache", "/proc/cpuinfo", "/sys/devices/system/cpu", os.devnull)
    )
)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


class Confined(NamedTuple):
    """Which protections hold that a kernel or a container may refuse."""

    network: bool
    files: bool


def confine(memory_bytes: int, cpu_s: int, file_bytes: int, folders: Iterable[Path]) -> Confined:
    """Limit this process's address space, CPU time and file size, end it with its parent, and cut it off.

    With Landlock it reads and writes in `folders`, reads the libraries that it may still load, and opens no other file.

    The network is cut by a network namespace, which needs CAP_SYS_ADMIN or unprivileged user namespaces (and then a
    single-threaded process), and by Landlock. If a container forbids them, two protections remain: none of the allowed
    operators opens a file or a connection, and the environment holds no secret. For more, use the container's network
    policy.
    """
    for limit, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),  # SIGXCPU first, which names the cause; then SIGKILL
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(limit, (soft, hard))
    with contextlib.suppress(OSError):  # if memory runs out, kill this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    network = libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    return Confined(network, restrict((*_libraries(), *_SYSTEM), folders))


def _libraries() -> set[Path]:
    """Return the folders of Python's libraries, but not those of this service, which is imported already."""
    paths = sysconfig.get_paths()
    return {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {
        Path(sys.base_prefix, "lib")
    }
