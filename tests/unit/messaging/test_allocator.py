"""Memory of large requests goes back to the system."""

import subprocess
import sys

SCRIPT = """
import sys
from pathlib import Path

if sys.argv[1] == "returned":
    from messaging.allocator import return_large_blocks
    assert return_large_blocks()

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

bytearray(30 << 20)  # a first large request, after which glibc takes others from its heap
before, kept = resident(), []
for _ in range(5):
    requests = [bytearray(b"a") * (20 << 20) for _ in range(5)]
    kept.append([str(number) * 40 for number in range(40_000)])  # what is small, and stays
    del requests
    kept.append([str(number) * 40 for number in range(40_000)])
small = sum(sys.getsizeof(text) + 8 for texts in kept for text in texts)
print(resident() - before - small)
"""


def grown(how: str) -> int:
    """Return by how many bytes a process has grown, beyond what it still uses."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_blocks_go_back_to_the_system() -> None:
    assert grown("returned") < 60 << 20
