"""A handler for the harness tests: the data set's name says how it behaves."""

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
    mood = task.job.spec["dataset"]
    task.report(0.1, "in the mood: " + mood)
    if mood == "bad":
        raise BadDataset("there is only one class")
    if mood == "unlucky" and task.job.attempt == 1:
        raise Corrupt("a bit flipped")
    if mood == "buggy":
        raise ZeroDivisionError("secret detail")
    if mood == "dying":
        os.kill(os.getpid(), signal.SIGKILL)
    if mood == "slow":
        for step in range(300):
            task.report(step / 300, f"step {step}")
            time.sleep(0.1)
    if mood == "resuming":
        if task.checkpoint is None:
            task.save_checkpoint("half.bin", b"half of the work")
            for _ in range(300):
                task.report(0.5, "half")
                time.sleep(0.1)
        assert task.objects.read(task.checkpoint) == b"half of the work"
    if mood == "dividing":
        if task.part is not None:
            task.log(f"part {task.part['number']} at work")
            return PartDone(result={"square": task.part["number"] ** 2})
        if task.parts is None:
            return Division(parts=tuple({"number": number} for number in range(4)))
        return MANIFEST.model_copy(update={"rejected": sum(part["square"] for part in task.parts)})
    task.put("report.txt", b"done")
    return MANIFEST
