"""The cores of a training, which divides them with the other trainings of its machine.

Every step of a training waits for its slowest thread, so two trainings with as many threads as cores, each, take many
times as long as with half of them; see docs/adr/0060. Trainings find each other by locked files in a folder.
"""

import fcntl
import itertools
import json
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

import torch

from contract.control_groups import allowed_cores, available_cores
from worker.settings import WorkerSettings

FOLDER = "trainings"  # in the scratch folder; a file has the cores of a training, which locks it while it runs


@contextmanager
def share_cores() -> Iterator[None]:
    """Count this process among the trainings of the machine during the block, and use its share of the cores."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        with (folder / str(number)).open("a+") as file:
            if _locked(file.fileno(), fcntl.LOCK_EX):
                file.truncate(0)
                file.write(json.dumps(sorted(allowed_cores())))
                file.flush()
                use_cores()
                yield
                return


def use_cores() -> None:
    """Set PyTorch's threads to an equal share of the cores, at least one, unless OMP_NUM_THREADS is set.

    Called before each epoch, because other trainings begin and end.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        cores = allowed_cores()
        share = max(1, len(cores) // max(1, _trainings_on(cores)))
        torch.set_num_threads(min(share, available_cores()))


def _trainings_on(cores: Set[int]) -> int:
    """Return how many trainings may use any of these cores."""
    count = 0
    for path in _folder().glob("*"):
        with path.open() as file:
            if not _locked(file.fileno(), fcntl.LOCK_SH):  # shared, as others may be counting, too
                count += not cores.isdisjoint(json.loads(file.read() or "[]"))
    return count


def _locked(file: int, kind: int) -> bool:
    """Lock a file, until it is closed; return False if another process has locked it.

    On a file system without locks, a training has the machine to itself.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def _folder() -> Path:
    return WorkerSettings().scratch / FOLDER
