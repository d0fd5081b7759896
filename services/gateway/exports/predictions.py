"""The answers of a batch prediction or an evaluation, by image, to be sent beside the labels."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from contract.errors import Conflict, Invalid
from contract.jobs import JobKind
from media.output_rows import read_rows
from services.storage.objects import Objects
from services.storage.stores import ProjectStores

MOST_BYTES = 256 << 20  # of the job's file; an answer takes about 150 bytes of memory


class Prediction(NamedTuple):
    label: str
    score: float


class Predictions:
    """The best class of each image that a job has judged, by the SHA-256 of its bytes."""

    def __init__(self, model: str, answers: dict[bytes, Prediction]) -> None:
        self.model = model
        self._answers = answers

    def of(self, sha256: str) -> Prediction | None:
        return self._answers.get(bytes.fromhex(sha256))


def predictions_of(stores: ProjectStores, objects: Objects, job_id: str) -> Predictions:
    """Read the file of a job.

    Raises NotFound, Invalid for a job of another kind, Conflict while there is no file or for one that is too large,
    and ObjectsUnavailable.
    """
    job = stores.jobs.get(job_id)
    if job.kind not in (JobKind.PREDICT, JobKind.EVALUATE):
        raise Invalid(f"predictions are those of a batch prediction or an evaluation, and {job_id} is a {job.kind} job")
    file = stores.jobs.output(job_id)
    if file.size > MOST_BYTES:
        raise Conflict(f"the file of the job has over {MOST_BYTES >> 20} MiB; export without predictions")
    answers = {}
    with tempfile.TemporaryDirectory(prefix="predictions-") as folder:
        path = Path(folder, "rows")
        objects.fetch(file, path)
        for row in read_rows(path, job.spec.get("format", "jsonl")):
            if row.sha256 is not None:
                answers[bytes.fromhex(row.sha256)] = Prediction(*row.scores[0])
    return Predictions(job.spec["model"], answers)
