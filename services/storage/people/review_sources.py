"""What fills the review queue besides sampling: likely label errors, doubtful predictions, and contradicting copies."""

import heapq
import tempfile
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from contract.artifacts import ObjectRef
from contract.datasets import Split
from contract.errors import Conflict, Invalid, NotFound
from contract.evaluation import LabelError
from contract.jobs import Job, JobState
from contract.kinds.evaluate import EvaluateResult, EvaluateSpec
from contract.kinds.predict import PredictSpec
from contract.references import Reference, UploadSource
from contract.reviews import (
    MOST_GUESSES,
    DuplicatesRequest,
    LabelErrorsRequest,
    NewReview,
    PredictionsRequest,
    ReviewSourceRequest,
)
from media.output_rows import OutputRow, read_rows
from media.warned_images import contradicting
from services.storage.objects import Objects
from services.storage.people.archived import copied_images
from services.storage.people.queue import Candidates
from services.storage.stores import ProjectStores

MOST_OUTPUT_BYTES = 1 << 30


class Judged(NamedTuple):
    """The images that a model has judged."""

    model: Reference
    dataset: str
    split: Split


@dataclass(frozen=True)
class ReviewSources:
    """Finds images for the review queue.

    Raises NotFound, Conflict, Invalid, DatabaseUnavailable, ObjectsUnavailable.
    """

    stores: ProjectStores
    objects: Objects

    def find(self, request: ReviewSourceRequest) -> Candidates:
        """Return the images of a source that it has not brought yet, the most doubtful ones first."""
        match request:
            case LabelErrorsRequest(evaluation=str(job)):
                return self._of_evaluation(job, request)
            case LabelErrorsRequest():
                return self._of_training(str(request.dataset), request)
            case PredictionsRequest():
                return self._of_predictions(request)
            case DuplicatesRequest():
                return self._of_duplicates(request)

    def _of_evaluation(self, job_id: str, request: LabelErrorsRequest) -> Candidates:
        """Return those of the job's output, which has all; of its report, which has the first, if the output is gone.

        The report also has those that a training noticed among its own images, which the output does not have better.
        """
        job = self._ended(job_id, "evaluate")
        spec, result = EvaluateSpec.model_validate(job.spec), EvaluateResult.model_validate(job.result)
        judged = Judged(Reference.parse(spec.model), spec.dataset, spec.split)
        if result.label_error_count > len(result.label_errors):
            try:
                rows = [row for row in self._rows(job, spec.format) if row.suggested is not None]
            except Conflict:  # its output was deleted
                rows = []
            if len(rows) > len(result.label_errors):
                errors = [_label_error(row) for row in rows]
                return self._errors(judged, errors, len(errors), request)
        return self._errors(judged, result.label_errors, result.label_error_count, request)

    def _of_training(self, dataset: str, request: LabelErrorsRequest) -> Candidates:
        """Return those that the newest training on a dataset noticed, if it looked for them."""
        pinned, _ = self.stores.datasets.manifest(Reference.parse(dataset))
        models, _ = self.stores.datasets.used_by([pinned])
        for model in models:
            reference, manifest = self.stores.models.manifest(Reference.parse(model))
            noticed = manifest.training_images
            if noticed is not None and noticed.judged:
                judged = Judged(reference, str(pinned), Split.TRAIN)
                return self._errors(judged, noticed.label_errors, noticed.label_error_count, request)
        raise NotFound(
            f"no training on {pinned} has looked for label errors; evaluate a model on it, and send the job's id as "
            "`evaluation`"
        )

    def _errors(
        self, judged: Judged, errors: Sequence[LabelError], count: int, request: LabelErrorsRequest
    ) -> Candidates:
        self._require_index(judged.dataset)
        known = self.stores.reviews.known("label_errors", judged.dataset)
        items = [
            NewReview(
                source="label_errors",
                model=judged.model.name,
                model_version=judged.model.version,
                dataset=judged.dataset,
                split=judged.split,
                sha256=error.sha256,
                label_now=error.label,
                guess=_guess(error),
                margin=error.margin,
                priority=-error.margin,
                votes=request.votes,
            )
            for error in sorted(errors, key=lambda error: error.margin)
            if error.sha256 is not None and error.sha256 not in known
        ]
        return Candidates(count, tuple(items[: request.limit]), judged.dataset)

    def _of_predictions(self, request: PredictionsRequest) -> Candidates:
        """Return images with a low score; those of an uploaded archive are copied, since it may be deleted."""
        job = self._ended(request.job, "predict")
        spec = PredictSpec.model_validate(job.spec)
        dataset = None if isinstance(spec.input, UploadSource) else spec.input.dataset
        known = self.stores.reviews.known("predictions", dataset)
        count, rows = _lowest(self._rows(job, spec.format), request, known)
        model = Reference.parse(spec.model)
        common = {"model": model.name, "model_version": model.version, "votes": request.votes}
        if isinstance(spec.input, UploadSource):
            upload = self.stores.uploads.ref(spec.input.upload)
            expires_at = self.stores.database.now() + timedelta(days=request.keep_days)
            copies = copied_images(self.objects, upload, self.stores.project, rows)
            items = (_doubtful(row, file=file, expires_at=expires_at, **common) for row, file in copies)
            return Candidates(count, tuple(items), None)
        self._require_index(spec.input.dataset)
        common |= {"dataset": spec.input.dataset, "split": spec.input.split}
        return Candidates(count, tuple(_doubtful(row, **common) for row in rows), spec.input.dataset)

    def _of_duplicates(self, request: DuplicatesRequest) -> Candidates:
        """Return images that a version has more than once, with different labels."""
        dataset, index = self._require_index(request.dataset)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "index.parquet")
            self.objects.fetch(index, path)
            images = list(contradicting(path))
        known = self.stores.reviews.known("duplicates", dataset)
        new = [image for image in images if image.sha256 not in known]
        items = (
            NewReview(
                source="duplicates",
                dataset=dataset,
                sha256=image.sha256,
                split=image.split,
                label_now=image.labels[0],
                guess=tuple((label, 1 / len(image.labels)) for label in image.labels[:MOST_GUESSES]),
                priority=1.0,
                votes=request.votes,
            )
            for image in new[: request.limit]
        )
        return Candidates(len(images), tuple(items), dataset)

    def _ended(self, job_id: str, kind: str) -> Job:
        """Return a job of a kind that has succeeded."""
        job = self.stores.jobs.get(job_id)
        if job.kind != kind:
            raise Invalid(f"{job_id} is a job of the kind {job.kind}; send the id of one of the kind {kind}")
        if job.state != JobState.SUCCEEDED:
            raise Conflict(f"the job is {job.state}; only one that has succeeded has results")
        return job

    def _rows(self, job: Job, form: str) -> Iterator[OutputRow]:
        """Yield the rows of a job's output; raises Conflict if it has none."""
        file = self.stores.jobs.output(job.id)
        if file.size > MOST_OUTPUT_BYTES:
            raise Conflict("the job's output has over 1 GiB; run the job on fewer images, or in the format parquet")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "output")
            self.objects.fetch(file, path)
            yield from read_rows(path, form)

    def _require_index(self, dataset: str) -> tuple[str, ObjectRef]:
        """Return a pinned version and its index; raises Conflict if it has none, since images have no hashes then."""
        pinned, manifest = self.stores.datasets.manifest(Reference.parse(dataset))
        if manifest.index is None:
            raise Conflict(
                f"{pinned} has no index of its images; a job of the kind index makes one: "
                f'{{"kind": "index", "spec": {{"dataset": "{pinned}"}}}}'
            )
        return str(pinned), manifest.index


def _lowest(rows: Iterator[OutputRow], request: PredictionsRequest, known: Set[str]) -> tuple[int, list[OutputRow]]:
    """Return how many rows have a score below the threshold, and those of unknown images with the lowest."""
    lowest: list[tuple[float, int, OutputRow]] = []
    count = 0
    for number, row in enumerate(rows):
        if row.sha256 is not None and row.scores[0][1] < request.below:
            count += 1
            if row.sha256 in known:
                continue
            entry = (-row.scores[0][1], -number, row)
            if len(lowest) < request.limit:
                heapq.heappush(lowest, entry)
            else:
                heapq.heappushpop(lowest, entry)
    return count, [row for *_, row in sorted(lowest, reverse=True)]


def _doubtful(row: OutputRow, **fields: Any) -> NewReview:
    best, *others = (score for _, score in row.scores)
    return NewReview(
        source="predictions",
        sha256=row.sha256,
        label_now=row.label,
        guess=row.scores,
        margin=best - others[0] if others else None,
        priority=1 - best,
        **fields,
    )


def _label_error(row: OutputRow) -> LabelError:
    """Return the likely label error of a row; its best class is not its label."""
    predicted, score = row.scores[0]
    label_score = row.label_score or 0.0
    return LabelError(
        image=0,
        sha256=row.sha256,
        path=row.image,
        label=row.label,
        predicted=predicted,
        score=score,
        label_score=label_score,
        suggested=row.suggested,
        margin=label_score - score,
    )


def _guess(error: LabelError) -> tuple[tuple[str, float], ...]:
    scores = {error.label: error.label_score, error.predicted: error.score}
    return tuple(sorted(scores.items(), key=lambda pair: -pair[1]))
