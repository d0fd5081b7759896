"""Confine a process, irreversibly, before it opens an untrusted file."""

import contextlib
import ctypes
import resource
import signal
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def confine(memory_bytes: int, cpu_s: int, file_bytes: int) -> bool:
    """Limit this process's address space, CPU time and file size, end it with its parent, and cut its network.

    Return whether the network was cut. That takes a network namespace, which needs CAP_SYS_ADMIN or unprivileged user
    namespaces (and then a single-threaded process). If a container forbids both, two protections remain: none of the
    allowed operators opens a connection, and the environment holds no secret. For more, use the container's network
    policy. The process can still read every file that its user can read.
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
    return bool(libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)
