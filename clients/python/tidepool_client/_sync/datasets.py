"""Datasets, and the images of their versions."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from contract.datasets import Split, TestSplit
from contract.image_index import ImageDetails, ImageRecord
from contract.revisions import DiffKind, ExportFormat, ImageChange, ImageDiff, VersionDiff
from tidepool_client._sync.jobs import Job, Jobs
from tidepool_client._sync.transport import Transport
from tidepool_client._sync.uploads import Sender, Uploads
from tidepool_client.errors import Invalid, NotFound
from tidepool_client.files import RESUMABLE, FilePath, OnBytes, json_part, opened, silent
from tidepool_client.references import parse, path, pinned
from tidepool_client.responses import given, parsed
from tidepool_client.views import Dataset, DatasetVersion

Options = Mapping[str, Any] | None


class Datasets:
    """`client.datasets`. A version is named `pets@3`; `pets` means the newest."""

    def __init__(self, http: Transport, jobs: Jobs, uploads: Uploads) -> None:
        self._http = http
        self._jobs = jobs
        self._uploads = uploads

    def upload(self, name: str, source: FilePath, *, spec: Options = None, on_bytes: OnBytes | None = None) -> Job:
        """Upload a folder, a zip or a tar as a new version; returns the preprocessing job.

        A folder is sent as a zip that is never written to disk. `spec` has `image`, `split`, `layout` and `strict`.
        More than 16 MiB are sent in parts: calling it again within a day after an interruption sends only the others.
        """
        filename, archive = opened(source, on_bytes)
        with archive as file:
            if file.size > RESUMABLE:
                sender = Sender(self._uploads, self._http)
                upload = sender.send(filename, file, on_bytes or silent, direct=False)
                try:
                    return self.create(name, upload.id, spec=spec)
                except Invalid:  # no job will use it
                    self._uploads.delete(upload.id)
                    raise
            form = {"archive": (filename, file, "application/octet-stream")}
            form |= json_part("spec", None if spec is None else dict(spec))
            return self._jobs.read(self._http.create(path("datasets", name, "versions"), files=form))

    def create(self, name: str, source: str, *, spec: Options = None) -> Job:
        """Make a new version of `s3://bucket/prefix`, or of a complete upload's id; returns the preprocessing job.

        The operator must allow the bucket.
        """
        kind = "s3" if source.startswith("s3://") else "upload"
        body = {"source": {kind: source}, **(spec or {})}
        return self._jobs.read(self._http.create(path("datasets", name, "versions"), json=body))

    def revise(
        self,
        parent: str,
        *,
        reviews: Literal["all"] | Sequence[str] = (),
        changes: Sequence[ImageChange | Mapping[str, Any]] = (),
        labels: str | None = None,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> Job:
        """Make a new version from another one, `parent`, and what is to differ; returns the revise job.

        `reviews` are "all" decided ones of the queue, or ids; `labels` is the id of an upload with labels of images.
        Images of a `frozen` test split keep their labels and stay. The parent stays as it is.

        >>> [image] = [image for image in client.datasets.images("pets@2", split="train", label="cat")]
        >>> job = client.datasets.revise("pets@2", changes=[{"sha256": image.sha256, "label": "dog"}])
        >>> job.kind
        'revise'
        """
        listed = [ImageChange.model_validate(change).model_dump(mode="json") for change in changes]
        named = reviews if isinstance(reviews, str) else [*reviews]
        body: dict[str, Any] = {"parent": parent, "changes": listed, "reviews": named}
        if labels is not None:
            body["labels"] = {"upload": labels}
        body |= given(test_split=test_split, empty_classes=empty_classes)
        return self._jobs.read(self._http.create(path("datasets", parse(parent).name, "versions"), json=body))

    def import_labels(
        self,
        parent: str,
        source: FilePath,
        *,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> Job:
        """Send a file with labels, and make a new version with them; returns the revise job.

        Label Studio's JSON, JSON_MIN and CSV, or a CSV with the columns `sha256` or `path`, and `label`.
        """
        upload = self._uploads.send(source, direct=False)
        return self.revise(parent, labels=upload.id, test_split=test_split, empty_classes=empty_classes)

    def change_images(
        self,
        reference: str,
        changes: Sequence[ImageChange | Mapping[str, Any]],
        *,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> Job:
        """Make a new version in which images of this one have other labels, or are removed; returns the revise job."""
        listed = [ImageChange.model_validate(change).model_dump(mode="json") for change in changes]
        body = {"changes": listed} | given(test_split=test_split, empty_classes=empty_classes)
        url = self._path(reference, "images")
        return self._jobs.read(self._http.create(url, method="PATCH", json=body))

    def diff(self, reference: str, base: int) -> VersionDiff:
        """Return what differs between a version and the version `base` of the dataset: numbers, and some images.

        >>> diff = client.datasets.diff("pets@2", 1)
        >>> diff.added, diff.removed, diff.relabelled
        (0, 0, 0)
        """
        return parsed(VersionDiff, self._http.call("GET", self._path(reference, "diff", str(base))))

    def differences(
        self, reference: str, base: int, *, change: DiffKind | None = None, limit: int | None = None
    ) -> Iterator[ImageDiff]:
        """Yield the images that differ between a version and the version `base`, of one kind of `change` if given."""
        url = self._path(reference, "diff", str(base))
        for image in self._http.pages(ImageDiff, url, limit, given(change=change)):
            yield image

    def export(
        self,
        reference: str,
        file: FilePath,
        *,
        format: ExportFormat = "imagefolder",
        image_root: str | None = None,
        predictions: str | None = None,
    ) -> Path:
        """Write a version to a zip with its images, `imagefolder` or `coco`, or its labels as `csv` or `labelstudio`.

        For Label Studio, `image_root` is what comes before `split/class/file` in the addresses of images, and
        `predictions` is the id of a batch prediction or evaluation whose answers are added.

        >>> client.datasets.export("pets@2", "pets.csv", format="csv")
        PosixPath('pets.csv')
        """
        params = given(format=format, image_root=image_root, predictions=predictions)
        return self._http.download(self._path(reference, "export"), file, params)

    def list(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """Yield datasets, by name.

        >>> [dataset.name for dataset in client.datasets.list()]
        ['pets']
        """
        for dataset in self._http.pages(Dataset, path("datasets"), limit):
            yield dataset

    def get(self, name: str) -> Dataset:
        """Return a dataset with its versions, newest first."""
        return parsed(Dataset, self._http.call("GET", path("datasets", name)))

    def version(self, reference: str) -> DatasetVersion:
        """Return a version: classes, counts, shape, warnings, decisions, rejected files.

        >>> version = client.datasets.version("pets")
        >>> version.reference, version.classes
        ('pets@2', ('cat', 'dog'))
        """
        response = self._http.call("GET", self._path(reference))
        return parsed(DatasetVersion, response)

    def delete(self, reference: str) -> None:
        """Delete a version that no live job uses; the reference must name it, like `pets@3`."""
        name, version = pinned(reference)
        self._http.delete(path("datasets", name, "versions", version))

    def images(
        self, reference: str, *, split: Split | str | None = None, label: str | None = None, limit: int | None = None
    ) -> Iterator[ImageRecord]:
        """Yield the images of a version, of one split or class if you name it.

        >>> [image.path for image in client.datasets.images("pets@2", split="train", label="cat")]
        ['train/cat/one.png']
        """
        params = {key: value for key, value in {"split": split, "class": label}.items() if value is not None}
        for image in self._http.pages(ImageRecord, self._path(reference, "images"), limit, params):
            yield image

    def image(self, reference: str, sha256: str) -> ImageDetails:
        """Return where an image occurs, and what used it."""
        return parsed(ImageDetails, self._http.call("GET", self._path(reference, "images", sha256)))

    def thumbnail(self, reference: str, sha256: str) -> bytes:
        """Return a JPEG of the prepared image, at most 256 pixels a side."""
        response = self._http.request("GET", self._path(reference, "images", sha256, "thumbnail"))
        return response.content

    def original(self, reference: str, sha256: str) -> bytes:
        """Return the image's bytes as they were uploaded.

        >>> [image] = [image for image in client.datasets.images("pets@2", split="train", label="cat")]
        >>> file = client.datasets.original("pets@2", image.sha256)
        >>> file[:4]
        b'\\x89PNG'
        """
        response = self._http.request("GET", self._path(reference, "images", sha256, "original"))
        return response.content

    def _path(self, reference: str, *below: str) -> str:
        parsed_reference = parse(reference)
        name, version = parsed_reference.name, parsed_reference.version
        if version is None:
            versions = (self.get(name)).versions
            if not versions:
                raise NotFound(status=404, code="not_found", message=f"{name} has no version")
            version = versions[0]
        return path("datasets", name, "versions", version, *below)
