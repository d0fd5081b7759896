"""Datasets that are revised in this process, and reviews of them."""

import io
from collections import Counter
from typing import Any

import numpy as np

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import DatasetManifest, Split
from contract.jobs import Job, JobKind, JobState
from contract.kinds.revise import ReviseRequest, ReviseResult, ReviseSpec
from contract.reviews import NewReview, ReviewAnswer
from media.image_index import read_index
from services.preprocess.revising import revise
from services.storage.people.rows import Reviewer
from services.storage.stores import Stores
from tests.support.erasures import Erasures, pixels_of, rows_of, sha256_of
from tests.support.images import png
from tests.support.job_runs import run_due

REVIEWER = Reviewer("0123abcd", "Ada")
FILES = {
    **{f"train/cat/{number}.png": png(number) for number in range(6)},
    **{f"train/dog/{number}.png": png(10 + number) for number in range(6)},
    **{f"val/cat/{number}.png": png(20 + number) for number in range(2)},
    **{f"val/dog/{number}.png": png(30 + number) for number in range(2)},
    "test/cat/1.png": png(40),
    "test/dog/1.png": png(41),
}


class Revisions(Erasures):
    """Also revises versions."""

    def submit_revision(self, parent: str = "pets@1", project: str = DEFAULT_PROJECT, **spec: Any) -> Job:
        dataset = parent.partition("@")[0]
        request = ReviseRequest(
            kind="revise", spec=ReviseSpec.model_validate({"dataset": dataset, "parent": parent} | spec)
        )
        return self.stores.of(project).jobs.create(request)

    def revise(self, parent: str = "pets@1", project: str = DEFAULT_PROJECT, **spec: Any) -> Job:
        """Run a revise job to its end."""
        job = self.submit_revision(parent, project, **spec)
        run_due(self.stores, JobKind.REVISE, revise, self._new_folder())
        return self.stores.of(project).jobs.get(job.id)

    def revised(self, parent: str = "pets@1", **spec: Any) -> ReviseResult:
        """Run a revise job that succeeds."""
        job = self.revise(parent, **spec)
        assert job.state is JobState.SUCCEEDED, job.error
        return ReviseResult.model_validate(job.result)

    def answer(self, item: NewReview, **answer: Any) -> str:
        """Put an image in the queue and answer it; return the id of the item."""
        reviews = self.stores.of(DEFAULT_PROJECT).reviews
        reviews.add([item])
        (leased,) = reviews.batch(REVIEWER).items
        reviews.answer(leased.id, leased.lease, REVIEWER, ReviewAnswer(**answer))
        return leased.id

    def sample(
        self,
        file: bytes,
        model: str = "pet-cnn",
        version: int | None = None,
        original: str | None = None,
        **answer: Any,
    ) -> str:
        """Answer a copy of an image that a model has classified; return the id of the item."""
        copy = self.stores.objects.put(Bucket.JOBS, f"reviews/{sha256_of(file)}", file)
        sample = NewReview(
            source="margin",
            sha256=sha256_of(file),
            original_sha256=original,
            file=copy,
            model=model,
            model_version=version,
        )
        return self.answer(sample, **answer)


def change(file: bytes, label: str | None = None) -> dict[str, Any]:
    """Return the change of an image in a request; without a label, its removal."""
    return {"sha256": sha256_of(file)} | ({"remove": True} if label is None else {"label": label})


def rows(stores: Stores, manifest: DatasetManifest) -> list[dict[str, Any]]:
    """Return the rows of a version's index."""
    return read_index(io.BytesIO(stores.objects.read(manifest.index))).to_pylist()  # type: ignore[arg-type]


def images(stores: Stores, manifest: DatasetManifest) -> Counter[tuple[str, str, bytes]]:
    """Count the images by split, label and pixels, and check that shards, labels and the index agree."""
    assert rows_of(stores.objects, manifest) == len(rows(stores, manifest))
    found: Counter[tuple[str, str, bytes]] = Counter()
    for row in rows(stores, manifest):
        split = Split(row["split"])
        labels = np.load(io.BytesIO(stores.objects.read(manifest.shards[split][row["shard"]].labels)))
        assert manifest.classes[labels[row["row"]]] == row["label"]
        found[split, row["label"], pixels_of(stores.objects, manifest, split, row["shard"], row["row"])] += 1
    return found
