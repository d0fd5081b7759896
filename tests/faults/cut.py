"""Cuts a replica off from the other trainers by the kernel's packet filter, which knows the group of its processes.

`python -m tests.faults.cut services.trainer.main` runs a replica in that group.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

GROUP = 54321


def possible() -> bool:
    return os.geteuid() == 0 and shutil.which("iptables") is not None


@contextmanager
def cut_off(servers: Sequence[int]) -> Iterator[None]:
    """Drop what processes of the group send on this machine, except to the ports of servers."""
    ports = ",".join(map(str, servers))
    rule = ["OUTPUT", "-o", "lo", "-p", "tcp", "-m", "owner", "--gid-owner", str(GROUP)]
    rule += ["-m", "multiport", "!", "--dports", ports, "-j", "DROP"]
    subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-D", *rule], check=True)


if __name__ == "__main__":
    os.setgroups([])
    os.setgid(GROUP)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])
