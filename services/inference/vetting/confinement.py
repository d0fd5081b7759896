"""What a process gives up for good before it opens a file that nobody trusts."""

import contextlib
import ctypes
import resource
import signal
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def confine(memory_bytes: int, cpu_s: int, file_bytes: int) -> bool:
    """Bound this process's address space, CPU time and files, tie it to its parent's life, and cut its network.

    Whether the network is cut: it is in a network namespace of its own, which needs CAP_SYS_ADMIN or user namespaces
    for all (and then a process of one thread). Where a container forbids both, what holds is that a graph of the
    allowed operators has no operator that opens a connection, and that the environment carries no secret; the
    container's own network policy is the place to go further. Files are as readable as to the user that runs this.
    """
    for limit, soft, hard in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),  # SIGXCPU first, which says what was wrong; then SIGKILL
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(limit, (soft, hard))
    with contextlib.suppress(OSError):  # where memory runs out all the same, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return bool(libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)
