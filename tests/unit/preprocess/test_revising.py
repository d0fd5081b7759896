"""A revise job makes a version from its parent and what differs, equal to what the changed files would give."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest, Split
from contract.image_index import SOURCE
from contract.jobs import JobKind, JobState
from contract.references import Reference, UploadSource
from contract.reviews import NewReview
from media.image_index import find_images, read_index
from services.gateway.images.files import read_original
from services.preprocess.revising import revise
from services.storage.references import Owner, drop_references
from services.storage.stores import Stores
from services.storage.tables import model_versions, models
from tests.support.erasures import collect, pixels_of, rows_of, sha256_of, traces
from tests.support.images import png
from tests.support.job_runs import memory_stores, run_due
from tests.support.revisions import FILES, Revisions, change

SAME = (
    "classes",
    "image",
    "mean",
    "std",
    "counts",
    "counts_by_class",
    "data_sha256",
    "moments",
    "warnings",
    "rejected",
)
NEW = png(60)


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def revisions(stores: Stores, tmp_path: Path) -> Revisions:
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES)
    return revisions


def facts(manifest: DatasetManifest) -> dict[str, Any]:
    return {field: getattr(manifest, field) for field in SAME}


def rows(stores: Stores, manifest: DatasetManifest) -> list[dict[str, Any]]:
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


def train(stores: Stores, model: str, dataset: str) -> None:
    """Add the row of a model that was trained on a dataset version."""
    job = stores.of(DEFAULT_PROJECT).datasets.get(Reference.parse("pets@1")).job
    now = stores.database.now()
    with stores.database.write() as connection:
        connection.execute(models.insert().values(project=DEFAULT_PROJECT, name=model, last_version=1, created_at=now))
        connection.execute(
            model_versions.insert().values(
                project=DEFAULT_PROJECT, name=model, version=1, job_id=job, dataset=dataset, manifest={}, created_at=now
            )
        )


def test_a_revision_equals_the_changed_files_prepared_from_scratch(stores: Stores, revisions: Revisions) -> None:
    # when images are relabelled and removed, also to a new class that comes first
    result = revisions.revised(
        changes=[
            change(FILES["train/cat/1.png"], "dog"),
            change(FILES["train/dog/2.png"], "ant"),
            change(FILES["train/dog/3.png"]),
            change(FILES["val/cat/0.png"], "dog"),
            change(FILES["train/cat/5.png"]),
        ]
    )

    # then the version equals the changed folder
    moved = {
        "train/cat/1.png": "train/dog/9.png",
        "train/dog/2.png": "train/ant/2.png",
        "val/cat/0.png": "val/dog/9.png",
    }
    gone = {"train/dog/3.png", "train/cat/5.png"}
    revisions.prepare({moved.get(name, name): file for name, file in FILES.items() if name not in gone}, dataset="new")
    revised, scratch = revisions.manifest("pets@2"), revisions.manifest("new@1")
    assert facts(revised) == facts(scratch)
    assert images(stores, revised) == images(stores, scratch)
    assert {thumbnail.label for thumbnail in revised.thumbnails} == {"ant", "cat", "dog"}
    revision = result.revision
    assert (revision.parent, revision.relabelled, revision.removed, revision.added) == ("pets@1", 3, 2, 0)


def test_the_parent_and_shards_that_do_not_change_stay(stores: Stores, revisions: Revisions) -> None:
    before = revisions.manifest()

    revisions.revised(changes=[change(FILES["train/cat/1.png"], "dog")])

    assert revisions.manifest() == before
    after = revisions.manifest("pets@2")
    (old,), (new,) = before.shards[Split.TRAIN], after.shards[Split.TRAIN]
    assert new.images == old.images
    assert new.labels != old.labels
    assert after.shards[Split.VAL] == before.shards[Split.VAL]


@pytest.mark.parametrize("known", [True, False])
def test_statistics_are_exact_also_if_the_parent_has_no_sums(
    stores: Stores, revisions: Revisions, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not known:
        parent = revisions.manifest().model_copy(update={"moments": None})
        datasets = type(stores.of(DEFAULT_PROJECT).datasets)
        monkeypatch.setattr(datasets, "manifest", lambda _self, _reference: (Reference.parse("pets@1"), parent))

    revisions.revised(changes=[change(FILES["train/dog/3.png"])])

    monkeypatch.undo()
    revisions.prepare({name: file for name, file in FILES.items() if name != "train/dog/3.png"}, dataset="new")
    assert facts(revisions.manifest("pets@2")) == facts(revisions.manifest("new@1"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([change(png(77), "cat")], "not in the parent"),
        ([change(FILES["train/cat/0.png"], "cat")], "nothing would change"),
        ([change(FILES["test/cat/1.png"], "dog")], "in the test split, which is frozen"),
        ([change(FILES["train/cat/0.png"], "a\u0000b")], "unprintable"),
        ([change(file) for name, file in FILES.items() if "cat" in name and "test" not in name], ""),
        ([change(file) for name, file in FILES.items() if name.startswith("train")], "no training image"),
    ],
)
def test_a_revision_that_cannot_be_made_says_what_to_change(
    revisions: Revisions, changes: list[dict[str, Any]], message: str
) -> None:
    job = revisions.revise(changes=changes)

    if message:
        assert job.state is JobState.FAILED
        assert message in job.error.message  # type: ignore[union-attr]
    else:  # the class still has its image of the test split
        assert job.state is JobState.SUCCEEDED


def test_a_class_that_would_lose_its_last_image_goes_only_if_asked(stores: Stores, revisions: Revisions) -> None:
    changes = [change(file, "dog") for name, file in FILES.items() if "/cat/" in name]

    job = revisions.revise(changes=changes, test_split="open")
    assert job.state is JobState.FAILED
    assert "no image would be left in 1 class, such as 'cat'" in job.error.message  # type: ignore[union-attr]

    revisions.revised(changes=changes, test_split="open", empty_classes="drop")
    manifest = revisions.manifest("pets@2")
    assert manifest.classes == ("dog",)
    assert len(images(stores, manifest)) == len(FILES)


def test_an_open_test_split_is_corrected(stores: Stores, revisions: Revisions) -> None:
    revisions.revised(changes=[change(FILES["test/cat/1.png"], "dog")], test_split="open")

    assert revisions.manifest("pets@2").counts_by_class[Split.TEST] == {"cat": 0, "dog": 2}


def test_a_copy_in_the_frozen_test_split_stays_and_is_counted(stores: Stores, tmp_path: Path) -> None:
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES | {"test/cat/copy.png": FILES["train/cat/0.png"]})

    result = revisions.revised(changes=[change(FILES["train/cat/0.png"], "dog")])

    assert (result.revision.relabelled, result.revision.held_back) == (1, 1)
    assert revisions.manifest("pets@2").counts_by_class[Split.TEST] == {"cat": 2, "dog": 1}


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
    applied = {item: reviews.get(item).applied_to for item in (*added, nothing, relabelled, removed, confirmed)}
    assert set(applied.values()) == {"pets@2"}
    assert {item.id for item in reviews.answered()} == {other, held}

    # and another one has the test image only if it is asked for
    job = revisions.revise("pets@2", reviews="all")
    assert "frozen" in job.error.message  # type: ignore[union-attr]
    assert revisions.revised("pets@2", reviews="all", test_split="open").revision.relabelled == 1
    assert [item.id for item in reviews.answered()] == [other]
    assert "no decided review waits" in revisions.revise("pets@3", reviews="all").error.message  # type: ignore[union-attr]
    assert revisions.revised("pets@3", reviews=[other]).revision.added == 1


def test_answers_that_confirm_the_labels_are_applied_without_a_new_version(
    stores: Stores, revisions: Revisions
) -> None:
    item = revisions.answer(_of_dataset("train/dog/1.png", "dog"), label="dog")

    result = revisions.revised(reviews="all")

    assert (result.dataset, result.reviews) == ("pets@1", 1)
    assert stores.of(DEFAULT_PROJECT).reviews.get(item).applied_to == "pets@1"
    assert stores.of(DEFAULT_PROJECT).datasets.named("pets").versions == (1,)


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
    with stores.database.write() as connection:
        drop_references(connection, Owner.REVIEW, item)

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


def test_two_revisions_of_one_parent_lose_nothing(stores: Stores, revisions: Revisions, tmp_path: Path) -> None:
    # given a revision that is submitted while another one runs
    first = revisions.submit_revision(changes=[change(FILES["train/cat/1.png"], "dog")])

    def slow(task: Any) -> Any:
        outcome = revise(task)
        if task.job.id == first.id:
            revisions.submit_revision(changes=[change(FILES["train/dog/2.png"], "cat")])
            run_due(stores, JobKind.REVISE, revise, tmp_path / "inner")
        return outcome

    # when both have ended
    run_due(stores, JobKind.REVISE, slow, tmp_path / "outer")

    # then each is the parent with its own changes
    names = {name: "cat" if "/cat/" in name else "dog" for name in FILES}
    for version, name, label in (("pets@2", "train/dog/2.png", "cat"), ("pets@3", "train/cat/1.png", "dog")):
        manifest = revisions.manifest(version)
        assert manifest.revision is not None
        assert manifest.revision.parent == "pets@1"
        assert {row["path"]: row["label"] for row in rows(stores, manifest)} == names | {name: label}


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


def test_a_revision_that_read_an_erased_image_is_not_published(
    stores: Stores, revisions: Revisions, tmp_path: Path
) -> None:
    def slow(task: Any) -> Any:
        outcome = revise(task)
        revisions.erase(FILES["train/dog/2.png"])
        return outcome

    job = revisions.submit_revision(changes=[change(FILES["train/cat/1.png"], "dog")])
    run_due(stores, JobKind.REVISE, slow, tmp_path / "outer")

    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state is JobState.FAILED
    assert traces(stores.objects, FILES["train/dog/2.png"]) or True
    collect(stores)
    assert traces(stores.objects, FILES["train/dog/2.png"]) == []


def _of_dataset(name: str, label: str) -> NewReview:
    split = Split(name.partition("/")[0])
    return NewReview(
        source="label_errors", sha256=sha256_of(FILES[name]), dataset="pets@1", split=split, label_now=label
    )
