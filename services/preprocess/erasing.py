"""The handler of erase jobs: finds an image in everything that a project keeps, and makes new files without it.

Nothing that exists is changed: what is made replaces it in the transaction that finishes the job.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest, Split
from contract.errors import BadArchive, Corrupt, NotFound
from contract.kinds.erase import ChangedFeatures, ChangedFile, ChangedVersion, EraseSpec, Erasure, Searched
from contract.references import Reference, S3Source
from contract.training import FeatureFile
from media.archives.limits import Limits
from media.image_index import IndexedImage, find_images, read_index
from media.image_rows import ImageRows, without_rows
from services.preprocess.erased_archive import blank
from services.preprocess.erased_version import VersionWithout, completed
from services.storage.catalog.holdings import JobOutput
from worker.task import Task

_VERSIONS, _ARCHIVES, _OUTPUTS, _FEATURES = 0.0, 0.3, 0.8, 0.9  # the job's progress (0..1) at the start of each stage


def erase(task: Task) -> Erasure:
    """Find an image, and make new files of all that have it; raises NotFound if none has."""
    eraser = _Eraser(task, EraseSpec.model_validate(task.job.spec).sha256)
    while eraser.search():  # again, if something new has appeared meanwhile
        pass
    return eraser.outcome()


class _Eraser:
    def __init__(self, task: Task, sha256: str) -> None:
        self._task = task
        self._sha256 = sha256
        self._indexes: dict[Reference, ObjectRef | None] = {}
        self._uploads: set[str] = set()
        self._outputs: set[str] = set()
        self._searched_features: dict[tuple[str, str], ObjectRef] = {}
        self._versions: list[ChangedVersion] = []
        self._archives: list[ChangedFile] = []
        self._changed_outputs: list[ChangedFile] = []
        self._features: dict[tuple[str, str], ChangedFeatures] = {}
        self._names: dict[tuple[str, Split], set[str]] = {}  # of the image in a version, for outputs without hashes
        self._sizes: set[int] | None = set()  # of the image's file in bytes, None if a version does not know it
        self._originals: list[str] = []
        self._bytes = 0

    def search(self) -> bool:
        """Search what has not been searched; return whether there was anything."""
        holdings = self._task.holdings
        versions = [
            (reference, index)
            for reference, index in holdings.versions().items()
            if reference not in self._indexes or (self._indexes[reference] is None and index is not None)
        ]
        for number, (reference, index) in enumerate(versions):
            self._report(_VERSIONS, _ARCHIVES, number / len(versions), "searching dataset versions")
            self._indexes[reference] = index
            if index is not None:
                self._search_version(reference, index)
        uploads = [pair for pair in holdings.uploads().items() if pair[0] not in self._uploads]
        for number, (upload, file) in enumerate(uploads):
            self._report(_ARCHIVES, _OUTPUTS, number / len(uploads), "searching archives")
            self._uploads.add(upload)
            self._search_archive(upload, file)
        outputs = [output for output in holdings.outputs().values() if output.job not in self._outputs]
        for number, output in enumerate(outputs):
            self._report(_OUTPUTS, _FEATURES, number / len(outputs), "searching predictions and evaluations")
            self._outputs.add(output.job)
            self._search_output(output)
        for (dataset, key), features in holdings.features().items():
            if self._searched_features.get((dataset, key)) != features.file:
                self._report(_FEATURES, 1.0, 0.0, "searching what trainings have kept of the images")
                self._search_features(dataset, features)
        return bool(versions or uploads or outputs)

    def outcome(self) -> Erasure:
        changed = self._versions or self._archives or self._changed_outputs
        if not changed and not self._task.holdings.reviews(self._sha256):
            raise NotFound("no dataset version, archive, output or review of the project has an image with this hash")
        searched = [str(reference) for reference, index in self._indexes.items() if index is not None]
        return Erasure(
            versions=tuple(self._versions),
            uploads=tuple(self._archives),
            outputs=tuple(self._changed_outputs),
            features=tuple(self._features.values()),
            searched=Searched(
                versions=tuple(searched),
                uploads=tuple(sorted(self._uploads)),
                outputs=tuple(sorted(self._outputs)),
                features=tuple(file for key, file in self._searched_features.items() if key not in self._features),
            ),
            not_searched=tuple(str(reference) for reference, index in self._indexes.items() if index is None),
            kept_originals=tuple(self._originals),
            rewritten_bytes=self._bytes,
        )

    def _search_version(self, reference: Reference, index: ObjectRef) -> None:
        path = self._task.folder / "index.parquet"
        if not self._fetched(index, path, self._task.holdings.versions):
            return
        images = find_images(path, self._sha256)
        if not images:
            return
        _, manifest = self._task.datasets.manifest(reference)
        prefix = f"{reference.name}-{reference.version}-"

        def store(file: Path) -> ObjectRef:
            return self._put(prefix + file.name, file)

        version = VersionWithout(self._task, manifest, [image.record for image in images], store)
        without, table = version.made(read_index(path))
        self._versions.append(
            ChangedVersion(
                dataset=str(reference),
                before=index,
                manifest=completed(self._task, without, table, path, store),
                images=len(images),
                splits=tuple(split for split in Split if any(image.record.split is split for image in images)),
            )
        )
        self._note(reference, manifest, images)

    def _note(self, reference: Reference, manifest: DatasetManifest, images: tuple[IndexedImage, ...]) -> None:
        """Note how outputs name the image, how large its file is, and where its originals are."""
        for image in images:
            record = image.record
            before = [0, *accumulate(shard.count for shard in manifest.shards[record.split])][record.shard]
            names = {record.path} if manifest.erased else {record.path, str(before + record.row)}
            self._names.setdefault((str(reference), record.split), set()).update(names)
            if image.place is None:
                self._sizes = None
            elif self._sizes is not None:
                self._sizes.add(image.place.size)
        try:
            files = self._task.datasets.originals(reference)
        except NotFound:
            return
        for image in images:
            source = files[image.source].source
            original = f"s3://{source.bucket}/{image.member}" if isinstance(source, S3Source) else None
            if original is not None and original not in self._originals:
                self._originals.append(original)

    def _search_archive(self, upload: str, reference: ObjectRef) -> None:
        with TemporaryDirectory(dir=self._task.folder) as folder:
            path = Path(folder, "upload")
            if not self._fetched(reference, path, self._task.holdings.uploads):
                return
            try:
                file, count = blank(path, self._sha256, frozenset(self._sizes or ()), Limits())
            except BadArchive:
                self._task.log(f"the upload {upload} cannot be read as an archive, so it was not searched")
                return
            if count:
                after = self._put(f"{upload}-{file.name}", file)
                self._archives.append(ChangedFile(owner=upload, before=reference, after=after, rows=count))

    def _search_output(self, output: JobOutput) -> None:
        holdings = self._task.holdings
        source, target = self._task.folder / "output", self._task.folder / f"{output.job}.{output.form}"
        if not self._fetched(output.file, source, lambda: {one.job: one.file for one in holdings.outputs().values()}):
            return
        split = (output.dataset, output.split) if output.dataset and output.split else None
        names = frozenset(self._names.get(split, ())) if split else frozenset[str]()
        if count := without_rows(source, target, output.form, ImageRows(self._sha256, names)):
            after = self._put(target.name, target)
            self._changed_outputs.append(ChangedFile(owner=output.job, before=output.file, after=after, rows=count))
            target.unlink()

    def _search_features(self, dataset: str, features: FeatureFile) -> None:
        path, key = self._task.folder / "features.npz", (dataset, features.key)
        if not self._fetched(features.file, path, self._feature_files):
            return
        with np.load(path) as arrays:
            hashes, rows = arrays["hashes"], arrays["features"]
        self._searched_features[key] = features.file
        self._features.pop(key, None)
        kept = (hashes != np.frombuffer(bytes.fromhex(self._sha256), np.uint8)).any(axis=1)
        if kept.all():
            return
        after = None
        if kept.any():
            np.savez(path, hashes=hashes[kept], features=rows[kept])
            after = self._put(f"{dataset}-{features.key}-{path.name}", path)
        self._features[key] = ChangedFeatures(dataset=dataset, before=features, after=after)

    def _feature_files(self) -> dict[tuple[str, str], ObjectRef]:
        return {key: features.file for key, features in self._task.holdings.features().items()}

    def _fetched(self, file: ObjectRef, path: Path, current: Callable[[], Mapping[Any, ObjectRef | None]]) -> bool:
        """Fetch a file; return whether it is still needed. Raises Corrupt if it is, but cannot be read."""
        try:
            self._task.objects.fetch(file, path)
        except Corrupt:
            if file in current().values():
                raise
            return False  # deleted or replaced since it was listed
        return True

    def _put(self, name: str, file: Path) -> ObjectRef:
        stored = self._task.put(name, file)
        self._bytes += stored.size
        return stored

    def _report(self, start: float, stop: float, share: float, message: str) -> None:
        self._task.report(start + (stop - start) * share, message)
