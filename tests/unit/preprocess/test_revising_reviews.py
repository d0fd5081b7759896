"""Answers of people become the next version, once, and the originals of what they add live as long as a version."""

import io
from pathlib import Path
from typing import Any

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.image_index import SOURCE
from contract.jobs import JobKind, JobState
from contract.kinds.revise import ReviseRequest, ReviseSpec
from contract.references import Reference, UploadSource
from contract.reviews import NewReview
from media.image_index import find_images
from services.gateway.images.files import read_original
from services.preprocess.revising import revise
from services.storage.people.queue import ANY
from services.storage.stores import Stores
from services.storage.tables import model_versions, models, review_items
from tests.support.erasures import collect, sha256_of, traces
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.revisions import FILES, Revisions, change, images, rows

NEW = png(60)


def train(stores: Stores, model: str, *datasets: str) -> None:
    """Add a model with a version that was trained on each dataset version."""
    job = stores.of(DEFAULT_PROJECT).datasets.get(Reference.parse("pets@1")).job
    now = stores.database.now()
    with stores.database.write() as connection:
        row = {"project": DEFAULT_PROJECT, "name": model, "created_at": now}
        connection.execute(models.insert().values(row | {"last_version": len(datasets)}))
        for version, dataset in enumerate(datasets, 1):
            own = {"version": version, "job_id": job, "dataset": dataset, "manifest": {}}
            connection.execute(model_versions.insert().values(row | own))


def applied_to(stores: Stores, item_id: str) -> str | None:
    """Return the dataset version that has the answer to an item."""
    items = stores.of(DEFAULT_PROJECT).reviews.list(ANY, 100).items
    return next(item.applied_to for item in items if item.id == item_id)


def test_reviewed_images_are_added_relabelled_and_removed(stores: Stores, revisions: Revisions) -> None:
    # given answers to samples of a model of the dataset, to images of it, and to a sample of another model
    train(stores, "pet-cnn", "pets@1")
    added = [revisions.sample(png(60 + number), label="cat" if number % 2 else "emu") for number in range(10)]
    nothing = revisions.sample(png(80), not_any=True)
    other = revisions.sample(png(81), model="birds", label="cat")
    relabelled = revisions.answer(_of_dataset("train/cat/0.png", "cat"), label="dog")
    removed = revisions.answer(_of_dataset("train/dog/0.png", "dog"), not_any=True)
    confirmed = revisions.answer(_of_dataset("train/dog/1.png", "dog"), label="dog")
    held = revisions.answer(_of_dataset("test/dog/1.png", "dog"), label="cat")

    # when a version is made of all of them
    result = revisions.revised(reviews="all")

    # then it has them, the test split is as before, and what was applied is marked
    revision = result.revision
    assert (revision.added, revision.relabelled, revision.removed, revision.held_back) == (10, 1, 1, 1)
    before, after = revisions.manifest(), revisions.manifest("pets@2")
    assert after.classes == ("cat", "dog", "emu")
    assert after.counts.test == before.counts.test
    assert after.counts.train + after.counts.val == len(FILES) - 2 + 10 - 1
    assert after.counts_by_class[Split.VAL]["emu"] > 0
    assert sum(images(stores, after).values()) == len(FILES) + 9
    reviews = stores.of(DEFAULT_PROJECT).reviews
    for item in (*added, nothing, relabelled, removed, confirmed):
        assert applied_to(stores, item) == "pets@2"
    assert {item.id for item in reviews.answered()} == {other, held}

    # and another one has the test image only if it is asked for
    job = revisions.revise("pets@2", reviews="all")
    assert "frozen" in job.error.message  # type: ignore[union-attr]
    assert revisions.revised("pets@2", reviews="all", test_split="open").revision.relabelled == 1
    assert [item.id for item in reviews.answered()] == [other]
    assert "no decided review waits" in revisions.revise("pets@3", reviews="all").error.message  # type: ignore[union-attr]
    assert revisions.revised("pets@3", reviews=[other]).revision.added == 1


def test_a_version_has_the_samples_of_the_model_versions_that_were_trained_on_its_dataset(
    stores: Stores, revisions: Revisions
) -> None:
    train(stores, "pet-cnn", "pets@1", "zoo@1")
    of_pets, of_zoo = (revisions.sample(png(60 + version), version=version, label="cat") for version in (1, 2))

    result = revisions.revised(reviews="all")

    assert result.revision.added == 1
    assert applied_to(stores, of_pets) == "pets@2"
    assert [item.id for item in stores.of(DEFAULT_PROJECT).reviews.answered()] == [of_zoo]


def test_answers_that_confirm_the_labels_are_applied_without_a_new_version(
    stores: Stores, revisions: Revisions
) -> None:
    item = revisions.answer(_of_dataset("train/dog/1.png", "dog"), label="dog")

    result = revisions.revised(reviews="all")

    assert (result.dataset, result.reviews) == ("pets@1", 1)
    assert applied_to(stores, item) == "pets@1"
    assert stores.of(DEFAULT_PROJECT).datasets.named("pets").versions == (1,)


def test_an_answer_whose_label_cannot_be_a_class_stops_no_version(stores: Stores, revisions: Revisions) -> None:
    bad = revisions.answer(_of_dataset("train/cat/0.png", "cat"), label="x\ty")
    good = revisions.answer(_of_dataset("train/cat/1.png", "cat"), label="dog")

    result = revisions.revised(reviews="all")

    assert (result.revision.relabelled, result.reviews) == (1, 1)
    assert [item.id for item in stores.of(DEFAULT_PROJECT).reviews.answered()] == [bad]
    assert applied_to(stores, good) == "pets@2"
    assert "unprintable" in revisions.revise("pets@2", reviews=[bad]).error.message  # type: ignore[union-attr]


def test_originals_of_added_images_outlive_the_reviews_and_the_parent(stores: Stores, revisions: Revisions) -> None:
    # given a version with an added image, and one made from it
    item = revisions.sample(NEW, label="cat")
    revisions.revised(reviews=[item])
    revisions.revised("pets@2", changes=[change(FILES["train/cat/1.png"], "dog")])

    # when the older versions are deleted, and what nothing needs is collected
    project = stores.of(DEFAULT_PROJECT)
    project.datasets.delete(Reference.parse("pets@1"))
    project.datasets.delete(Reference.parse("pets@2"))
    collect(stores)

    # then every original of the newest one can be read
    manifest, sources = revisions.manifest("pets@3"), project.datasets.originals(Reference.parse("pets@3"))
    assert len(sources) == 2
    index = stores.objects.read(manifest.index)  # type: ignore[arg-type]
    for row in rows(stores, manifest):
        (image,) = find_images(io.BytesIO(index), row["sha256"].hex())
        source = sources[image.source].source
        assert isinstance(source, UploadSource)
        assert image.place is not None
        original = read_original(stores.objects, project.uploads.ref(source.upload), image.place, image.record.sha256)
        assert original in (NEW, *FILES.values())
        assert row[SOURCE] == (original == NEW)

    # and without that version, nothing is left
    project.datasets.delete(Reference.parse("pets@3"))
    collect(stores)
    assert traces(stores.objects, FILES["train/cat/0.png"]) == []


def test_an_added_image_is_erased_from_every_version_and_its_zip(stores: Stores, revisions: Revisions) -> None:
    # given an added image, which the newest version lacks
    item = revisions.sample(NEW, label="cat")
    revisions.revised(reviews=[item])
    revisions.revised("pets@2", changes=[change(NEW)])
    stores.objects.remove(Bucket.JOBS, [f"reviews/{sha256_of(NEW)}"])  # the queue's copy goes on its own

    # when it is erased
    job = revisions.erase(NEW)
    collect(stores)

    # then nothing has it, and the version still works
    assert job.state is JobState.SUCCEEDED
    assert traces(stores.objects, NEW) == []
    assert sum(images(stores, revisions.manifest("pets@2")).values()) == len(FILES)
    assert sum(images(stores, revisions.manifest("pets@3")).values()) == len(FILES)
    made = stores.of(DEFAULT_PROJECT).datasets.get(Reference.parse("pets@2")).job
    assert stores.of(DEFAULT_PROJECT).jobs.get(made).result["counts"]["train"] == 12  # type: ignore[index]


def test_one_of_two_revisions_gets_the_reviews(stores: Stores, revisions: Revisions, tmp_path: Path) -> None:
    revisions.answer(_of_dataset("train/cat/0.png", "cat"), label="dog")
    first = revisions.submit_revision(reviews="all")

    def slow(task: Any) -> Any:
        outcome = revise(task)
        if task.job.id == first.id:
            revisions.submit_revision(reviews="all")
            run_due(stores, JobKind.REVISE, revise, tmp_path / "inner")
        return outcome

    run_due(stores, JobKind.REVISE, slow, tmp_path / "outer")

    job = stores.of(DEFAULT_PROJECT).jobs.get(first.id)
    assert job.state is JobState.FAILED
    assert "make the version again" in job.error.message  # type: ignore[union-attr]
    assert stores.of(DEFAULT_PROJECT).datasets.named("pets").versions == (2, 1)


def test_the_sample_of_a_test_image_is_an_answer_about_it_and_is_not_learned_from(
    stores: Stores, revisions: Revisions
) -> None:
    train(stores, "pet-cnn", "pets@1")
    test, known = (sha256_of(FILES[name]) for name in ("test/dog/1.png", "train/dog/0.png"))
    held = revisions.sample(png(70), original=test, label="cat")
    revisions.sample(png(71), original=known, label="cat")
    revisions.sample(png(72), original=sha256_of(png(73)), label="cat")

    revision = revisions.revised(reviews="all").revision

    assert (revision.relabelled, revision.added, revision.held_back) == (1, 1, 1)
    assert [item.id for item in stores.of(DEFAULT_PROJECT).reviews.answered()] == [held]


@pytest.mark.parametrize("label", ["cat", "."])
def test_a_pipeline_whose_answers_change_nothing_goes_on_with_the_parent(
    stores: Stores, revisions: Revisions, tmp_path: Path, label: str
) -> None:
    name = "test/dog/1.png" if label == "cat" else "train/dog/1.png"
    revisions.answer(_of_dataset(name, "dog"), label="cat")
    with stores.database.write() as connection:  # a release that took any text as a label
        connection.execute(review_items.update().values(label=label))
    spec = ReviseSpec(dataset="pets", parent="pets@1", reviews="all", empty_classes="drop")
    with stores.database.write() as connection:
        jobs = stores.of(DEFAULT_PROJECT).jobs
        accepted = jobs.accept(connection, ReviseRequest(kind="revise", spec=spec), "nightly")

    run_due(stores, JobKind.REVISE, revise, tmp_path / "revise")

    job = jobs.get(accepted.id)
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    assert (job.result["dataset"], job.result["reviews"]) == ("pets@1", 0)


def _of_dataset(name: str, label: str) -> NewReview:
    split = Split(name.partition("/")[0])
    return NewReview(
        source="label_errors", sha256=sha256_of(FILES[name]), dataset="pets@1", split=split, label_now=label
    )
