"""A revise job makes a version from its parent and what differs, equal to what the changed files would give."""

from pathlib import Path
from typing import Any

import pytest

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest, Split
from contract.jobs import JobKind, JobState
from contract.references import Reference
from services.preprocess.revising import revise
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.erasures import collect, traces
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.revisions import FILES, Revisions, change, images, rows

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


def facts(manifest: DatasetManifest) -> dict[str, Any]:
    return {field: getattr(manifest, field) for field in SAME}


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


def test_a_revision_neither_reads_nor_stores_a_file_that_it_does_not_need(
    stores: Stores, revisions: Revisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    fetch = MemoryObjects.fetch
    monkeypatch.setattr(MemoryObjects, "fetch", lambda self, ref, path: (read.append(ref.key), fetch(self, ref, path)))
    (val,), before = revisions.manifest().shards[Split.VAL], set(stores.objects.content)  # type: ignore[attr-defined]

    revisions.revised(changes=[change(file) for name, file in FILES.items() if name.startswith("val")])

    assert not {val.images.key, val.labels.key} & set(read)
    assert len(read) == len(set(read))
    after = revisions.manifest("pets@2")
    new = set(stores.objects.content) - before  # type: ignore[attr-defined]
    assert new == {(after.index.bucket, after.index.key)}  # type: ignore[union-attr]


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
