"""Datasets, and the images of their versions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from contract.datasets import Split, TestSplit
from contract.image_index import ImageDetails, ImageRecord
from contract.revisions import DiffKind, ExportFormat, ImageChange, ImageDiff, VersionDiff
from tidepool_client._async.jobs import AsyncJob, AsyncJobs
from tidepool_client._async.transport import AsyncTransport
from tidepool_client._async.uploads import AsyncSender, AsyncUploads
from tidepool_client.errors import Invalid, NotFound
from tidepool_client.files import RESUMABLE, FilePath, OnBytes, json_part, opened, silent
from tidepool_client.references import parse, path, pinned
from tidepool_client.responses import given, parsed
from tidepool_client.views import Dataset, DatasetVersion

Options = Mapping[str, Any] | None


class AsyncDatasets:
    """`client.datasets`. A version is named `pets@3`; `pets` means the newest."""

    def __init__(self, http: AsyncTransport, jobs: AsyncJobs, uploads: AsyncUploads) -> None:
        self._http = http
        self._jobs = jobs
        self._uploads = uploads

    async def upload(
        self, name: str, source: FilePath, *, spec: Options = None, on_bytes: OnBytes | None = None
    ) -> AsyncJob:
        """Upload a folder, a zip or a tar as a new version; returns the preprocessing job.

        A folder is sent as a zip that is never written to disk. `spec` has `image`, `split`, `layout` and `strict`.
        More than 16 MiB are sent in parts: calling it again within a day after an interruption sends only the others.
        """
        filename, archive = opened(source, on_bytes)
        with archive as file:
            if file.size > RESUMABLE:
                sender = AsyncSender(self._uploads, self._http)
                upload = await sender.send(filename, file, on_bytes or silent, direct=False)
                try:
                    return await self.create(name, upload.id, spec=spec)
                except Invalid:  # no job will use it
                    await self._uploads.delete(upload.id)
                    raise
            form = {"archive": (filename, file, "application/octet-stream")}
            form |= json_part("spec", None if spec is None else dict(spec))
            return self._jobs.read(await self._http.create(path("datasets", name, "versions"), files=form))

    async def create(self, name: str, source: str, *, spec: Options = None) -> AsyncJob:
        """Make a new version of `s3://bucket/prefix`, or of a complete upload's id; returns the preprocessing job.

        The operator must allow the bucket.
        """
        kind = "s3" if source.startswith("s3://") else "upload"
        body = {"source": {kind: source}, **(spec or {})}
        return self._jobs.read(await self._http.create(path("datasets", name, "versions"), json=body))

    async def revise(
        self,
        parent: str,
        *,
        reviews: Literal["all"] | Sequence[str] = (),
        changes: Sequence[ImageChange | Mapping[str, Any]] = (),
        labels: str | None = None,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> AsyncJob:
        """Make a new version from another one, `parent`, and what is to differ; returns the revise job.

        `reviews` are "all" decided ones of the queue, or ids; `labels` is the id of an upload with labels of images.
        Images of a `frozen` test split keep their labels and stay. The parent stays as it is.

        >>> [image] = [image async for image in client.datasets.images("pets@2", split="train", label="cat")]
        >>> job = await client.datasets.revise("pets@2", changes=[{"sha256": image.sha256, "label": "dog"}])
        >>> job.kind
        'revise'
        """
        listed = [ImageChange.model_validate(change).model_dump(mode="json") for change in changes]
        named = reviews if isinstance(reviews, str) else [*reviews]
        body: dict[str, Any] = {"parent": parent, "changes": listed, "reviews": named}
        if labels is not None:
            body["labels"] = {"upload": labels}
        body |= given(test_split=test_split, empty_classes=empty_classes)
        return self._jobs.read(await self._http.create(path("datasets", parse(parent).name, "versions"), json=body))

    async def import_labels(
        self,
        parent: str,
        source: FilePath,
        *,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> AsyncJob:
        """Send a file with labels, and make a new version with them; returns the revise job.

        Label Studio's JSON, JSON_MIN and CSV, or a CSV with the columns `sha256` or `path`, and `label`.
        """
        upload = await self._uploads.send(source, direct=False)
        return await self.revise(parent, labels=upload.id, test_split=test_split, empty_classes=empty_classes)

    async def change_images(
        self,
        reference: str,
        changes: Sequence[ImageChange | Mapping[str, Any]],
        *,
        test_split: TestSplit | None = None,
        empty_classes: Literal["refuse", "drop"] | None = None,
    ) -> AsyncJob:
        """Make a new version in which images of this one have other labels, or are removed; returns the revise job."""
        listed = [ImageChange.model_validate(change).model_dump(mode="json") for change in changes]
        body = {"changes": listed} | given(test_split=test_split, empty_classes=empty_classes)
        url = await self._path(reference, "images")
        return self._jobs.read(await self._http.create(url, method="PATCH", json=body))

    async def diff(self, reference: str, base: int) -> VersionDiff:
        """Return what differs between a version and the version `base` of the dataset: numbers, and some images.

        >>> diff = await client.datasets.diff("pets@2", 1)
        >>> diff.added, diff.removed, diff.relabelled
        (0, 0, 0)
        """
        return parsed(VersionDiff, await self._http.call("GET", await self._path(reference, "diff", str(base))))

    async def differences(
        self, reference: str, base: int, *, change: DiffKind | None = None, limit: int | None = None
    ) -> AsyncIterator[ImageDiff]:
        """Yield the images that differ between a version and the version `base`, of one kind of `change` if given."""
        url = await self._path(reference, "diff", str(base))
        async for image in self._http.pages(ImageDiff, url, limit, given(change=change)):
            yield image

    async def export(
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

        >>> await client.datasets.export("pets@2", "pets.csv", format="csv")
        PosixPath('pets.csv')
        """
        params = given(format=format, image_root=image_root, predictions=predictions)
        return await self._http.download(await self._path(reference, "export"), file, params)

    async def list(self, *, limit: int | None = None) -> AsyncIterator[Dataset]:
        """Yield datasets, by name.

        >>> [dataset.name async for dataset in client.datasets.list()]
        ['pets']
        """
        async for dataset in self._http.pages(Dataset, path("datasets"), limit):
            yield dataset

    async def get(self, name: str) -> Dataset:
        """Return a dataset with its versions, newest first."""
        return parsed(Dataset, await self._http.call("GET", path("datasets", name)))

    async def version(self, reference: str) -> DatasetVersion:
        """Return a version: classes, counts, shape, warnings, decisions, rejected files.

        >>> version = await client.datasets.version("pets")
        >>> version.reference, version.classes
        ('pets@2', ('cat', 'dog'))
        """
        response = await self._http.call("GET", await self._path(reference))
        return parsed(DatasetVersion, response)

    async def delete(self, reference: str) -> None:
        """Delete a version that no live job uses; the reference must name it, like `pets@3`."""
        name, version = pinned(reference)
        await self._http.delete(path("datasets", name, "versions", version))

    async def images(
        self, reference: str, *, split: Split | str | None = None, label: str | None = None, limit: int | None = None
    ) -> AsyncIterator[ImageRecord]:
        """Yield the images of a version, of one split or class if you name it.

        >>> [image.path async for image in client.datasets.images("pets@2", split="train", label="cat")]
        ['train/cat/one.png']
        """
        params = {key: value for key, value in {"split": split, "class": label}.items() if value is not None}
        async for image in self._http.pages(ImageRecord, await self._path(reference, "images"), limit, params):
            yield image

    async def image(self, reference: str, sha256: str) -> ImageDetails:
        """Return where an image occurs, and what used it."""
        return parsed(ImageDetails, await self._http.call("GET", await self._path(reference, "images", sha256)))

    async def thumbnail(self, reference: str, sha256: str) -> bytes:
        """Return a JPEG of the prepared image, at most 256 pixels a side."""
        response = await self._http.request("GET", await self._path(reference, "images", sha256, "thumbnail"))
        return response.content

    async def original(self, reference: str, sha256: str) -> bytes:
        """Return the image's bytes as they were uploaded.

        >>> [image] = [image async for image in client.datasets.images("pets@2", split="train", label="cat")]
        >>> file = await client.datasets.original("pets@2", image.sha256)
        >>> file[:4]
        b'\\x89PNG'
        """
        response = await self._http.request("GET", await self._path(reference, "images", sha256, "original"))
        return response.content

    async def _path(self, reference: str, *below: str) -> str:
        parsed_reference = parse(reference)
        name, version = parsed_reference.name, parsed_reference.version
        if version is None:
            versions = (await self.get(name)).versions
            if not versions:
                raise NotFound(status=404, code="not_found", message=f"{name} has no version")
            version = versions[0]
        return path("datasets", name, "versions", version, *below)
