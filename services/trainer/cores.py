"""The cores of a training, which divides those of its machine with the other trainings there.

Two trainings with as many threads as cores, each, take many times as long as with half of them: every step waits for
the slowest thread. Trainings find each other by locked files in the folder TIDEPOOL_SCRATCH, so those in containers,
which do not share it, need limits of their own.
"""

import fcntl
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from worker.cores import available_cores
from worker.settings import WorkerSettings

FOLDER = "trainings"  # in the scratch folder; the file of a training is locked for as long as its process lives


@contextmanager
def share_cores() -> Iterator[None]:
    """Count this process among the trainings of the machine during the block, and use its share of the cores."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        with (folder / str(number)).open("w") as file:
            if _locked(file.fileno(), fcntl.LOCK_EX):
                use_cores()
                yield
                return


def use_cores() -> None:
    """Set PyTorch's threads to an equal share of the cores, at least one, unless OMP_NUM_THREADS is set.

    Called before each epoch, because other trainings begin and end.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // max(1, _trainings())))


def _trainings() -> int:
    """Return how many trainings are counted now."""
    count = 0
    for path in _folder().glob("*"):
        with path.open() as file:
            count += not _locked(file.fileno(), fcntl.LOCK_SH)  # shared, as others may be counting, too
    return count


def _locked(file: int, kind: int) -> bool:
    """Lock a file, until it is closed; return False if another process has locked it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder() -> Path:
    return WorkerSettings().scratch / FOLDER
