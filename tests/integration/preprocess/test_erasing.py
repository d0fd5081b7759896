"""A replica erases an image from versions and archives in a real object store."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest
from contract.jobs import Job, JobRequest, JobState
from contract.kinds.erase import EraseRequest, EraseResult, EraseSpec
from contract.kinds.preprocess import PreprocessRequest
from contract.kinds.train import TrainRequest
from contract.projects import NewProjectRequest
from contract.references import Reference
from contract.training import ModelManifest
from media.image_index import find_images
from services.preprocess.erasing import erase
from services.preprocess.worker import preprocess
from services.storage.stores import Stores
from services.trainer.worker import train
from tests.support.erasures import (
    archived,
    collect,
    pixels_of,
    preprocess_request,
    rows_of,
    sha256_of,
    traces,
    upload,
)
from tests.support.images import png
from tests.support.job_runs import memory_stores, run, run_due
from tests.support.replicas import Replicas
from tests.support.servers import S3Server
from tests.support.source_bucket import source_bucket

IMAGE = png(99)
FILES = {
    **{f"train/cat/{number}.png": png(number) for number in range(6)},
    **{f"train/dog/{number}.png": png(10 + number) for number in range(6)},
    "train/cat/secret.png": IMAGE,
    "train/dog/copy.png": IMAGE,
    "val/cat/1.png": png(20),
    "val/dog/1.png": png(21),
    "test/cat/1.png": png(22),
    "test/dog/1.png": png(23),
}


def done(replicas: Replicas, request: JobRequest, project: str = DEFAULT_PROJECT) -> Job:
    """Submit a job and wait until it has succeeded."""
    jobs = replicas.stores.of(project).jobs
    job = jobs.create(request)
    replicas.until(lambda: jobs.get(job.id).state.terminal)
    ended = jobs.get(job.id)
    assert ended.state == JobState.SUCCEEDED, ended.error
    return ended


def prepared(replicas: Replicas, folder: Path, layout: str, dataset: str, project: str = DEFAULT_PROJECT) -> None:
    source = upload(replicas.stores, archived(folder, FILES, layout), project)
    done(replicas, preprocess_request(source, dataset), project)


def manifest(stores: Stores, dataset: str, project: str = DEFAULT_PROJECT) -> DatasetManifest:
    return stores.of(project).datasets.manifest(Reference.parse(dataset))[1]


def secrets(stores: Stores, version: DatasetManifest) -> Iterator[bytes]:
    """The file of the image, and its pixels in the shards of a version."""
    yield IMAGE
    assert version.index is not None
    for image in find_images(io.BytesIO(stores.objects.read(version.index)), sha256_of(IMAGE)):
        yield pixels_of(stores.objects, version, image.record.split, image.record.shard, image.record.row)


def test_an_image_leaves_no_trace_and_the_version_trains_without_it(
    replicas: Replicas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an image in versions of three archives, and in one of another project; parts prepare them
    stores = replicas.stores
    stores.projects.create(NewProjectRequest(name="lab"))
    replicas.start("preprocess", TIDEPOOL_PART_IMAGES="5")
    for layout, dataset in (("zip", "pets"), ("tar", "birds"), ("tar.gz", "bugs")):
        prepared(replicas, tmp_path, layout, dataset)
    prepared(replicas, tmp_path, "zip", "pets", "lab")
    traced = list(secrets(stores, manifest(stores, "pets@1")))
    assert len({key for key in traces(stores.objects, *traced) if "lab/" not in key}) >= 6

    # when it is erased in the default project
    job = done(replicas, EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256_of(IMAGE))))
    collect(stores)

    # then only the other project has it
    result = EraseResult.model_validate(job.result)
    assert ({version.dataset for version in result.versions}, result.archives) == ({"pets@1", "birds@1", "bugs@1"}, 3)
    assert all("lab/" in key for key in traces(stores.objects, *traced))
    assert rows_of(stores.objects, manifest(stores, "pets@1", "lab")) == len(FILES)

    # and a training sees the images that are left
    for dataset in ("pets@1", "birds@1", "bugs@1"):
        assert rows_of(stores.objects, manifest(stores, dataset)) == len(FILES) - 2
    spec = {"dataset": "pets@1", "model": "net", "epochs": 1, "architecture": {"name": "mlp", "hidden": (4,)}}
    stores.of(DEFAULT_PROJECT).jobs.create(TrainRequest.model_validate({"kind": "train", "spec": spec}))
    models: list[ModelManifest] = []
    run_due(stores, "train", lambda task: models.append(train(task)) or models[-1], tmp_path / "train")  # type: ignore
    assert models[0].lineage is not None
    assert models[0].lineage.data_sha256 == manifest(stores, "pets@1").data_sha256
    assert stores.of(DEFAULT_PROJECT).models.get(Reference.parse("net@1")).trained_on_erased == 0


def test_an_object_of_your_own_bucket_stays_and_is_named(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given a version whose originals lie in a bucket
    client = source_bucket(s3, monkeypatch, "gallery", {f"pets/{name}": file for name, file in FILES.items()})
    stores = memory_stores()
    spec = {"dataset": "pets", "source": {"s3": "s3://gallery/pets"}, "image": {"size": [8, 8]}}
    run(stores, PreprocessRequest.model_validate({"kind": "preprocess", "spec": spec}), preprocess, tmp_path / "made")

    # when the image is erased
    request = EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256_of(IMAGE)))
    job, _ = run(stores, request, erase, tmp_path / "erased")

    # then the version is without it, and the result says where the originals are
    result = EraseResult.model_validate(job.result)
    assert sorted(result.kept_originals) == [
        "s3://gallery/pets/train/cat/secret.png",
        "s3://gallery/pets/train/dog/copy.png",
    ]
    assert rows_of(stores.objects, manifest(stores, "pets@1")) == len(FILES) - 2
    assert client.get_object("gallery", "pets/train/cat/secret.png").data == IMAGE
