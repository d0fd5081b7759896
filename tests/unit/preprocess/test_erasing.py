"""An erase job removes an image from everything that its project keeps, and from nothing else."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Split
from contract.errors import Invalid
from contract.jobs import JobKind, JobState
from contract.kinds.erase import EraseResult
from contract.kinds.kind import Manifests
from contract.kinds.train import TrainSpec
from contract.projects import NewProjectRequest
from contract.references import Reference
from contract.training import FeatureFile
from media.image_index import find_images, read_index
from services.gateway.images.files import read_original
from services.preprocess.erasing import erase
from services.storage.catalog.features import keep_features
from services.storage.catalog.holdings import Holdings
from services.storage.stores import Stores
from tests.support.erasures import LAYOUTS, Erasures, archived, collect, pixels_of, rows_of, sha256_of, traces, upload
from tests.support.images import png
from tests.support.job_runs import run_due
from worker.task import Task

IMAGE = png(99, height=8, width=8)
FILES = {
    **{f"train/cat/{number}.png": png(number) for number in range(4)},
    "train/cat/secret.png": IMAGE,
    **{f"train/dog/{number}.png": png(10 + number) for number in range(4)},
    "val/cat/5.png": png(20),
    "val/dog/5.png": png(21),
    "test/cat/6.png": png(22),
    "test/dog/copy.png": IMAGE,
    "test/dog/6.png": png(23),
}


@pytest.fixture
def erasures(stores: Stores, tmp_path: Path) -> Erasures:
    return Erasures(stores, tmp_path)


def result_of(erasures: Erasures, file: bytes = IMAGE) -> EraseResult:
    job = erasures.erase(file)
    assert job.state == JobState.SUCCEEDED, job.error
    return EraseResult.model_validate(job.result)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_is_gone_from_the_object_store(stores: Stores, erasures: Erasures, layout: str) -> None:
    # given an image twice in a version
    erasures.prepare(FILES, layout)
    before = erasures.manifest()
    index = io.BytesIO(stores.objects.read(before.index))  # type: ignore[arg-type]
    images = [found.record for found in find_images(index, sha256_of(IMAGE))]
    pixels = [pixels_of(stores.objects, before, image.split, image.shard, image.row) for image in images]
    assert traces(stores.objects, IMAGE, *pixels)

    # when it is erased
    result = result_of(erasures)
    collect(stores)

    # then nothing has its bytes or pixels, and counts and rows agree
    assert traces(stores.objects, IMAGE, *pixels) == []
    assert [(version.dataset, version.images) for version in result.versions] == [("pets@1", 2)]
    assert result.archives == 1
    after = erasures.manifest()
    assert rows_of(stores.objects, after) == len(FILES) - 2
    assert (after.counts.train, after.counts.test, after.erased) == (8, 2, 2)
    assert after.data_sha256 not in {None, before.data_sha256}
    assert [warning.code for warning in before.warnings if "images" in warning.code]
    assert not [warning.code for warning in after.warnings if "images" in warning.code]


@pytest.mark.parametrize("layout", ["zip", "stored zip", "tar"])
def test_other_originals_are_still_read_from_the_archive(stores: Stores, erasures: Erasures, layout: str) -> None:
    source = erasures.prepare(FILES, layout)

    result_of(erasures)
    collect(stores)

    reference = stores.of(DEFAULT_PROJECT).uploads.ref(source)
    assert reference.bucket == Bucket.JOBS
    index = read_index(io.BytesIO(stores.objects.read(erasures.manifest().index)))  # type: ignore[arg-type]
    assert len(index) == len(FILES) - 2
    for row in index.to_pylist():
        (image,) = find_images(
            io.BytesIO(stores.objects.read(erasures.manifest().index)),  # type: ignore[arg-type]
            row["sha256"].hex(),
        )
        assert image.place is not None
        file = read_original(stores.objects, reference, image.place, row["sha256"].hex())
        assert file == FILES[row["path"]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rewritten_archive_makes_the_same_version_without_the_image(
    stores: Stores, erasures: Erasures, layout: str
) -> None:
    # given an erased image
    source = erasures.prepare(FILES, layout)
    result_of(erasures)

    # when the archive is prepared again, and one that never had the image

    erasures.prepare_again(source, "again")
    erasures.prepare({name: file for name, file in FILES.items() if file != IMAGE}, layout, dataset="never")

    # then all have the same data
    again, never, erased = erasures.manifest("again"), erasures.manifest("never"), erasures.manifest("pets@1")
    assert again.data_sha256 == never.data_sha256 == erased.data_sha256
    assert again.rejected == 2
    assert never.counts == erased.counts
    assert never.thumbnails == erased.thumbnails


def test_rows_and_labels_stay_together(stores: Stores, erasures: Erasures) -> None:
    erasures.prepare(FILES)
    before, old = erasures.manifest(), read_index(io.BytesIO(stores.objects.read(erasures.manifest().index)))
    pixels = {
        row["path"]: pixels_of(stores.objects, before, Split(row["split"]), row["shard"], row["row"])
        for row in old.to_pylist()
    }

    result_of(erasures)

    after = erasures.manifest()
    for row in read_index(io.BytesIO(stores.objects.read(after.index))).to_pylist():  # type: ignore[arg-type]
        split = Split(row["split"])
        assert pixels_of(stores.objects, after, split, row["shard"], row["row"]) == pixels[row["path"]]
        labels = np.load(io.BytesIO(stores.objects.read(after.shards[split][row["shard"]].labels)))
        assert after.classes[labels[row["row"]]] == row["label"]


def test_an_image_in_two_versions_and_two_archives_is_gone_from_all(stores: Stores, erasures: Erasures) -> None:
    # given three archives with the image; in the third it is no part of the dataset
    erasures.prepare(FILES)
    erasures.prepare(FILES | {"train/dog/more.png": png(50)}, "tar.gz", dataset="birds")
    unlisted = {f"{number}.png": png(60 + number) for number in range(8)} | {"extra.png": IMAGE}
    listed = "file,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(8))
    erasures.prepare(unlisted | {"labels.csv": listed.encode()}, dataset="listed")

    result = result_of(erasures)
    collect(stores)

    assert {version.dataset for version in result.versions} == {"pets@1", "birds@1"}
    assert result.archives == 3
    assert traces(stores.objects, IMAGE) == []
    assert rows_of(stores.objects, erasures.manifest("birds@1")) == len(FILES) - 1
    assert rows_of(stores.objects, erasures.manifest("listed@1")) == 8


def test_another_projects_copy_stays(stores: Stores, erasures: Erasures) -> None:
    stores.projects.create(NewProjectRequest(name="lab"))
    erasures.prepare(FILES)
    erasures.prepare(FILES, project="lab")
    before = erasures.manifest(project="lab")

    result_of(erasures)
    collect(stores)

    assert erasures.manifest(project="lab") == before
    assert rows_of(stores.objects, before) == len(FILES)
    assert all("lab/" in key for key in traces(stores.objects, IMAGE))
    assert erasures.erase(IMAGE).error is not None  # in the default project nothing is left
    assert erasures.erase(IMAGE, "lab").state == JobState.SUCCEEDED
    collect(stores)
    assert traces(stores.objects, IMAGE) == []


def test_an_image_that_nothing_holds_is_not_found(erasures: Erasures) -> None:
    erasures.prepare(FILES)
    before = erasures.manifest()

    job = erasures.erase(png(1000))

    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "not_found")
    assert erasures.manifest() == before


def test_a_whole_shard_and_a_split_can_be_erased(stores: Stores, erasures: Erasures) -> None:
    erasures.prepare({"train/cat/1.png": png(1), "train/dog/1.png": png(2), "test/cat/1.png": IMAGE})

    result_of(erasures)

    manifest = erasures.manifest()
    assert manifest.shards[Split.TEST] == ()
    assert rows_of(stores.objects, manifest) == 2
    assert [result_of(erasures, png(1)).versions[0].images, result_of(erasures, png(2)).versions[0].images] == [1, 1]
    assert rows_of(stores.objects, erasures.manifest()) == 0
    assert erasures.manifest().thumbnails == ()
    assert erasures.manifest().erased == 3
    with pytest.raises(Invalid, match="no training images left"):
        TrainSpec(dataset="pets@1", model="net").check(Manifests({"pets@1": erasures.manifest()}, {}))


def test_cached_features_of_the_image_are_removed(stores: Stores, erasures: Erasures) -> None:
    # given features of two images, and some of the image alone
    erasures.prepare(FILES)
    hashes = [bytes.fromhex(sha256_of(file)) for file in (IMAGE, png(1))]

    def store(key: str, count: int) -> None:
        file = io.BytesIO()
        rows = np.frombuffer(b"".join(hashes[:count]), np.uint8).reshape(-1, 32)
        np.savez(file, hashes=rows, features=np.arange(4 * count, dtype=np.float16).reshape(count, 4))
        cached = FeatureFile(key=key, file=stores.objects.put(Bucket.JOBS, f"job/attempts/1/{key}", file.getvalue()))
        with stores.database.write() as connection:
            keep_features(connection, DEFAULT_PROJECT, "pets", cached, stores.database.now())

    store("both", 2)
    store("alone", 1)

    result = result_of(erasures)
    collect(stores)

    assert result.features == 2
    datasets = stores.of(DEFAULT_PROJECT).datasets
    assert datasets.features("pets", "alone") is None
    left = datasets.features("pets", "both")
    assert left is not None
    with np.load(io.BytesIO(stores.objects.read(left))) as arrays:
        assert arrays["hashes"].tobytes() == hashes[1]
        assert arrays["features"].tolist() == [[4, 5, 6, 7]]
    assert traces(stores.objects, hashes[0]) == []


def test_an_erasure_starts_again_if_another_one_was_faster(stores: Stores, erasures: Erasures, tmp_path: Path) -> None:
    # given two erase jobs of one version, of which the second ends while the first has searched
    erasures.prepare(FILES)
    other = png(1)
    erasures.submit(IMAGE)

    def slow(task: Task) -> object:
        outcome = erase(task)
        if len(runs) == 0:
            runs.append(erasures.submit(other))
            (tmp_path / "inner").mkdir()
            run_due(stores, JobKind.ERASE, erase, tmp_path / "inner")
        return outcome

    runs: list[object] = []
    attempts = run_due(stores, JobKind.ERASE, slow, tmp_path / "outer")  # type: ignore[arg-type]
    collect(stores)

    # then the first starts again without a charge, and both images are gone
    assert [(attempt.job.attempt, attempt.lease.fence) for attempt in attempts] == [(1, 1), (1, 2)]
    assert rows_of(stores.objects, erasures.manifest()) == len(FILES) - 3
    assert traces(stores.objects, IMAGE, other) == []


def test_a_version_that_appears_during_the_search_is_searched(
    stores: Stores, erasures: Erasures, tmp_path: Path
) -> None:
    erasures.prepare(FILES)
    erasures.submit(IMAGE)
    late: list[str] = []

    def slow(task: Task) -> object:
        outcome = erase(task)
        if not late:
            late.append(erasures.prepare(FILES, dataset="late"))
        return outcome

    run_due(stores, JobKind.ERASE, slow, tmp_path / "outer")  # type: ignore[arg-type]
    collect(stores)

    assert rows_of(stores.objects, erasures.manifest("late@1")) == len(FILES) - 2
    assert traces(stores.objects, IMAGE) == []


def test_an_archive_that_no_version_uses_is_searched(stores: Stores, erasures: Erasures, tmp_path: Path) -> None:
    erasures.prepare(FILES)
    upload(stores, archived(tmp_path, {"a/b.png": IMAGE}, "tar"))
    (tmp_path / "text").write_bytes(b"no archive")
    upload(stores, tmp_path / "text")

    assert result_of(erasures).archives == 2
    collect(stores)
    assert traces(stores.objects, IMAGE) == []


def test_the_uploads_reference_survives_in_the_registry(stores: Stores, erasures: Erasures) -> None:
    source = erasures.prepare(FILES)
    result_of(erasures)
    collect(stores)
    collect(stores)

    assert stores.objects.read(stores.of(DEFAULT_PROJECT).uploads.ref(source))
    assert Reference.parse("pets@1") in stores.of(DEFAULT_PROJECT).holdings.versions()


def test_what_is_deleted_during_the_search_is_ignored(
    stores: Stores, erasures: Erasures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an upload that is deleted, with its object, after it was listed
    erasures.prepare(FILES)
    spare = upload(stores, archived(tmp_path, FILES, "tar"))
    monkeypatch.setattr(Holdings, "uploads", listed_once(stores, spare))

    assert result_of(erasures).archives == 1


def listed_once(stores: Stores, upload_id: str) -> Callable[[Holdings], dict[str, ObjectRef]]:
    """A list of uploads, of which one is deleted after the first call."""
    original, calls = Holdings.uploads, list[str]()

    def uploads(holdings: Holdings) -> dict[str, ObjectRef]:
        listed = original(holdings)
        if not calls:
            calls.append(upload_id)
            stores.of(DEFAULT_PROJECT).uploads.forget(upload_id)
            stores.objects.remove(Bucket.UPLOADS, [listed[upload_id].key])
        return listed

    return uploads
