"""A handler for the tests of the worker; the dataset's name selects its behaviour."""

import os
import signal
import time

from contract.datasets import Counts, DatasetManifest
from contract.division import Division, Outcome, PartDone
from contract.errors import BadDataset, Corrupt
from contract.images import ImageSpec
from worker.task import Task

MANIFEST = DatasetManifest(
    classes=("cat", "dog"),
    image=ImageSpec(),
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    counts=Counts(train=2, val=0, test=0),
    counts_by_class={},
    shards={},
    rejected=0,
    rejected_files=(),
    thumbnails=(),
)


def handle(task: Task) -> Outcome:
    behaviour = task.job.spec["dataset"]
    task.report(0.1, "behaviour: " + behaviour)
    if behaviour == "bad":
        raise BadDataset("there is only one class")
    if behaviour == "unlucky" and task.job.attempt == 1:
        raise Corrupt("a bit flipped")
    if behaviour == "buggy":
        raise ZeroDivisionError("secret detail")
    if behaviour == "dying":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "slow":
        for step in range(300):
            task.report(step / 300, f"step {step}")
            time.sleep(0.1)
    if behaviour == "resuming":
        if task.checkpoint is None:
            task.save_checkpoint("half.bin", b"half of the work")
            for _ in range(300):
                task.report(0.5, "half")
                time.sleep(0.1)
        assert task.objects.read(task.checkpoint) == b"half of the work"
    if behaviour == "dividing":
        if task.part is not None:
            task.log(f"part {task.part['number']} started")
            return PartDone(result={"square": task.part["number"] ** 2})
        if task.parts is None:
            return Division(parts=tuple({"number": number} for number in range(4)))
        return MANIFEST.model_copy(update={"rejected": sum(part["square"] for part in task.parts)})
    task.put("report.txt", b"done")
    return MANIFEST
