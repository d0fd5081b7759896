"""Cuts a replica off from the other trainers by the kernel's packet filter, which knows the group of its processes.

`python -m tests.faults.cut 54321 services.trainer.main` runs a replica in such a group.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def possible() -> bool:
    return os.geteuid() == 0 and shutil.which("iptables") is not None


@contextmanager
def cut_off(group: int, servers: Sequence[int]) -> Iterator[None]:
    """Drop what processes of a group send on this machine, except to the ports of servers."""
    ports = ",".join(map(str, servers))
    rule = ["OUTPUT", "-o", "lo", "-p", "tcp", "-m", "owner", "--gid-owner", str(group)]
    rule += ["-m", "multiport", "!", "--dports", ports, "-j", "DROP"]
    subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-D", *rule], check=True)


if __name__ == "__main__":
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
