"""Datasets from archives of every layout, and what is left of an image in the object store."""

import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, upload_key
from contract.datasets import DatasetManifest, Split
from contract.errors import Corrupt, NotFound
from contract.jobs import Job, JobKind
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.kinds.preprocess import PreprocessRequest
from contract.references import Reference
from services.preprocess.erasing import erase
from services.preprocess.worker import preprocess
from services.storage.catalog.uploads import new_upload_id
from services.storage.objects import Objects
from services.storage.stores import Stores
from services.storage.sweep.abandoned import AbandonedUploads
from services.storage.sweep.collector import Collector
from tests.support.images import zipped
from tests.support.job_runs import run_due

LAYOUTS = ("zip", "stored zip", "tar", "tar.gz", "tar.xz")


def sha256_of(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()


def archived(folder: Path, files: dict[str, bytes], layout: str = "zip") -> Path:
    """Write the files as an archive."""
    path = folder / f"pets.{layout.rpartition(' ')[2]}"
    if layout.endswith("zip"):
        return zipped(path, files, 0 if layout.startswith("stored") else 8)
    with tarfile.open(path, f"w:{layout[4:]}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def upload(stores: Stores, archive: Path, project: str = DEFAULT_PROJECT) -> str:
    """Store an archive as a complete upload of a project."""
    key = upload_key(new_upload_id(), project)
    return stores.of(project).uploads.add(archive.name, stores.objects.put(Bucket.UPLOADS, key, archive)).id


def preprocess_request(source: str, dataset: str = "pets") -> PreprocessRequest:
    spec = {"dataset": dataset, "source": {"upload": source}, "image": {"size": [8, 8]}}
    return PreprocessRequest.model_validate({"kind": JobKind.PREPROCESS, "spec": spec})


class Erasures:
    """Prepares dataset versions and erases images of them, in this process."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        self.stores = stores
        self._folder = folder

    def prepare(
        self, files: dict[str, bytes], layout: str = "zip", project: str = DEFAULT_PROJECT, dataset: str = "pets"
    ) -> str:
        """Publish the next version of a dataset; return the upload."""
        source = upload(self.stores, archived(self._folder, files, layout), project)
        self.prepare_again(source, dataset, project)
        return source

    def prepare_again(self, source: str, dataset: str, project: str = DEFAULT_PROJECT) -> None:
        """Publish the next version of a dataset from an upload."""
        self.stores.of(project).jobs.create(preprocess_request(source, dataset))
        run_due(self.stores, JobKind.PREPROCESS, preprocess, self._new_folder())

    def erase(self, file: bytes, project: str = DEFAULT_PROJECT) -> Job:
        """Run an erase job to its end."""
        job = self.submit(file, project)
        run_due(self.stores, JobKind.ERASE, erase, self._new_folder())
        return self.stores.of(project).jobs.get(job.id)

    def submit(self, file: bytes, project: str = DEFAULT_PROJECT) -> Job:
        request = EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256_of(file)))
        return self.stores.of(project).jobs.create(request)

    def manifest(self, reference: str = "pets@1", project: str = DEFAULT_PROJECT) -> DatasetManifest:
        return self.stores.of(project).datasets.manifest(Reference.parse(reference))[1]

    def _new_folder(self) -> Path:
        folder = self._folder / f"run-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        return folder


def rows_of(objects: Objects, manifest: DatasetManifest) -> int:
    """Count the rows of all shards, and check that images and labels agree with the manifest."""
    total = 0
    for split, shards in manifest.shards.items():
        labels = [np.load(io.BytesIO(objects.read(shard.labels))) for shard in shards]
        images = [np.load(io.BytesIO(objects.read(shard.images))) for shard in shards]
        assert [len(rows) for rows in images] == [len(rows) for rows in labels] == [shard.count for shard in shards]
        counted = np.bincount(np.concatenate([*labels, np.empty(0, np.int64)]), minlength=len(manifest.classes))
        assert dict(zip(manifest.classes, counted.tolist(), strict=True)) == manifest.counts_by_class[split]
        assert getattr(manifest.counts, split) == counted.sum()
        total += int(counted.sum())
    return total


def collect(stores: Stores) -> None:
    """Delete what nothing refers to."""
    Collector(stores.database, stores.objects, timedelta()).collect()
    AbandonedUploads(stores.database, stores.objects, timedelta(days=1), timedelta()).collect()


def contents(objects: Objects) -> Iterator[tuple[str, bytes]]:
    """Yield everything in the object store, compressed tars and gzipped files also unpacked."""
    for bucket in Bucket:
        for entry in objects.entries(bucket):
            try:
                data = objects.read(objects.adopt(bucket, entry.key))
            except (Corrupt, NotFound):  # the collector was faster
                continue
            yield entry.key, data
            if data[:3] == b"\x1f\x8b\x08":
                yield f"{entry.key} unpacked", gzip.decompress(data)
            if data[:6] == b"\xfd7zXZ\0":
                yield f"{entry.key} unpacked", lzma.decompress(data)


def traces(objects: Objects, *secrets: bytes) -> list[str]:
    """Return the keys of the objects that have one of the byte strings: a file, its deflated data, or pixels."""
    deflated = [zlib.compressobj(6, zlib.DEFLATED, -15) for _ in secrets]
    packed = [one.compress(secret) + one.flush() for one, secret in zip(deflated, secrets, strict=True)]
    return [key for key, data in contents(objects) if any(secret in data for secret in (*secrets, *packed))]


def pixels_of(objects: Objects, manifest: DatasetManifest, split: Split, shard: int, row: int) -> bytes:
    """Return the pixels of an image as they lie in its shard."""
    images = np.load(io.BytesIO(objects.read(manifest.shards[split][shard].images)))
    return bytes(images[row].tobytes())
