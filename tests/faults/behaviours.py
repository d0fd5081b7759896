"""A handler for the fault tests; the name of the dataset or model selects its behaviour."""

import time

from contract.datasets import Counts, DatasetManifest, Shard, Split
from contract.division import Division, Outcome, PartDone
from contract.errors import BadDataset, Corrupt, Interrupted
from contract.images import ImageSpec
from contract.jobs import JobKind
from contract.training import ModelManifest
from tests.examples import MODEL_MANIFEST
from worker.task import Task

EPOCHS = 4
PARTS = 4
STEP_S = 0.1
ALLOCATION = 8 << 20


def behave(task: Task) -> Outcome:
    """Behave as the name says, and publish a file that holds the id of the job."""
    preprocess = task.job.kind == JobKind.PREPROCESS
    name = task.job.spec["dataset" if preprocess else "model"]
    task.report(0.0, "started")
    if task.part is not None:
        return _part(task, name)
    if name.startswith(("divides", "poison")) and task.parts is None:
        return Division(parts=tuple({"number": number} for number in range(PARTS)))
    _work(task, name)
    return _dataset(task) if preprocess else _model(task)


def _work(task: Task, name: str) -> None:
    match name.split("-")[0]:
        case "bad":
            raise BadDataset("there is only one class")
        case "unlucky" if task.job.attempt == 1:
            raise Corrupt("a bit flipped")
        case "steps":
            _steps(task, 10)
        case "slow":
            task.put("early", b"half of the work")
            _steps(task, 30)
        case "long" if task.job.attempt == 1:
            _steps(task, 100)
        case "hungry" if task.job.attempt == 1:
            _allocate(task, 40)
        case "deaf":
            _ignore_stop(task, 100)
        case "resumes":
            done = int(task.objects.read(task.checkpoint)) if task.checkpoint else 0
            for epoch in range(done + 1, EPOCHS + 1):
                _steps(task, 3)
                task.save_checkpoint(f"checkpoint-{epoch}", str(epoch).encode(), {"epoch": epoch})


def _part(task: Task, name: str) -> PartDone:
    assert task.part is not None
    number = task.part["number"]
    if name == "poison" and number == PARTS - 1:
        raise BadDataset("this part cannot be read")
    _steps(task, 5)
    return PartDone(result={"file": task.put("part", f"{task.job.id} {number}".encode()).model_dump(mode="json")})


def _steps(task: Task, count: int) -> None:
    for step in range(count):
        task.report(step / count, f"step {step}")
        time.sleep(STEP_S)


def _allocate(task: Task, count: int) -> None:
    blocks = []
    for step in range(count):
        blocks.append(bytearray(ALLOCATION))
        task.report(step / count, f"step {step}")
        time.sleep(STEP_S)


def _ignore_stop(task: Task, count: int) -> None:
    for step in range(count):
        try:
            task.report(step / count, f"step {step}")
        except Interrupted:
            continue
        finally:
            time.sleep(STEP_S)


def _dataset(task: Task) -> DatasetManifest:
    artifact = task.put("made", task.job.id.encode())
    return DatasetManifest(
        classes=("cat", "dog"),
        image=ImageSpec(),
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        counts=Counts(train=2, val=0, test=0),
        counts_by_class={},
        shards={Split.TRAIN: (Shard(count=2, images=artifact, labels=artifact),)},
        rejected=0,
        rejected_files=(),
        thumbnails=(),
    )


def _model(task: Task) -> ModelManifest:
    return MODEL_MANIFEST.model_copy(update={"artifact": task.put("made", task.job.id.encode())})
