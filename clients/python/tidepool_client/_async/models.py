"""Models: versions, aliases, variants, uploads, exports and predictions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.catalog import Alias
from contract.drift import AliasDrift
from contract.predictions import IdentifiedResult
from contract.variants import VariantName
from tidepool_client._async.jobs import AsyncJob, AsyncJobs
from tidepool_client._async.transport import AsyncTransport
from tidepool_client.errors import NotFound, TooLarge
from tidepool_client.files import FilePath, Image, OnBytes, image_bytes, json_part, media_type, opened
from tidepool_client.references import parse, path, pinned
from tidepool_client.responses import ImagePrediction, ManyPredictions, given, parsed
from tidepool_client.views import Model, ModelVersion

Options = Mapping[str, Any] | None


class AsyncModels:
    """`client.models`. A version is named `pets@3` or by an alias, `pets@production`; `pets` means the newest."""

    def __init__(self, http: AsyncTransport, jobs: AsyncJobs) -> None:
        self._http = http
        self._jobs = jobs

    async def upload(
        self,
        name: str,
        model: FilePath,
        *,
        metadata: Options = None,
        samples: FilePath | None = None,
        on_bytes: OnBytes | None = None,
    ) -> AsyncJob:
        """Upload an ONNX file as a new version; returns the vetting job.

        `metadata` has labels and preprocessing; `samples` is an .npz file with one array for each input.
        """
        filename, archive = opened(model, on_bytes)
        with archive as file:
            form: dict[str, Any] = {"model": (filename, file, "application/octet-stream")}
            form |= json_part("metadata", None if metadata is None else dict(metadata))
            if samples is not None:
                form["samples"] = (Path(samples).name, image_bytes(samples), "application/octet-stream")
            return self._jobs.read(await self._http.create(path("models", name, "versions"), files=form))

    async def list(self, *, limit: int | None = None) -> AsyncIterator[Model]:
        """Yield models, by name.

        >>> [(model.name, model.versions) async for model in client.models.list()]
        [('pet-cnn', (2, 1))]
        """
        async for model in self._http.pages(Model, path("models"), limit):
            yield model

    async def get(self, name: str) -> Model:
        """Return a model with its aliases and versions, newest first."""
        return parsed(Model, await self._http.call("GET", path("models", name)))

    async def version(self, reference: str) -> ModelVersion:
        """Return a version: status, metrics, lineage, labels, variants, warnings.

        >>> version = await client.models.version("pet-cnn@production")
        >>> version.reference, version.metrics.test.accuracy
        ('pet-cnn@1', 0.5)
        """
        return parsed(ModelVersion, await self._http.call("GET", await self._path(reference)))

    async def delete(self, reference: str) -> None:
        """Delete a version that no alias points at; the reference must name it, like `pets@3`."""
        name, version = pinned(reference)
        await self._http.delete(path("models", name, "versions", version))

    async def card(self, reference: str) -> str:
        """Return the model card of a version, as Markdown."""
        return (await self._http.request("GET", await self._path(reference, "card"))).text

    async def export(self, reference: str, file: FilePath, *, variant: VariantName | None = None) -> Path:
        """Write a version as a zip that works without a server; with the variant that serves, unless one is named.

        >>> await client.models.export("pet-cnn@2", "pet-cnn.zip")
        PosixPath('pet-cnn.zip')
        """
        return await self._http.download(await self._path(reference, "export"), file, given(variant=variant))

    async def artifact(self, reference: str, file: FilePath) -> Path:
        """Download the ONNX file of a version, in fp32."""
        return await self._http.download(await self._path(reference, "artifact"), file)

    async def pin_variant(self, reference: str, variant: VariantName) -> ModelVersion:
        """Let this variant of a version answer: `fp32`, `fp16` or `int8`."""
        url = await self._path(reference, "variants", variant, "serving")
        return parsed(ModelVersion, await self._http.call("PUT", url))

    async def unpin_variant(self, reference: str, variant: VariantName) -> ModelVersion:
        """Let the variant answer again that training chose."""
        url = await self._path(reference, "variants", variant, "serving")
        return parsed(ModelVersion, await self._http.call("DELETE", url))

    async def lift_quarantine(self, reference: str) -> ModelVersion:
        """Let a version serve again that was quarantined because its runs took too long."""
        return parsed(ModelVersion, await self._http.call("DELETE", await self._path(reference, "quarantine")))

    async def set_alias(
        self, name: str, alias: str, version: int | Mapping[int, int], *, shadow: int | None = None
    ) -> Alias:
        """Point an alias at a version, or split its requests among versions by percentage: `{2: 90, 3: 10}`.

        The `shadow` version gets a copy of each request.

        >>> alias = await client.models.set_alias("pet-cnn", "production", {1: 90, 2: 10})
        >>> alias.versions
        {1: 90, 2: 10}
        >>> alias = await client.models.set_alias("pet-cnn", "production", 2)
        >>> alias.version
        2
        """
        target = {"version": version} if isinstance(version, int) else {"versions": dict(version)}
        body = target | given(shadow=shadow)
        return parsed(Alias, await self._http.call("PUT", path("models", name, "aliases", alias), json=body))

    async def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; the version stays."""
        await self._http.delete(path("models", name, "aliases", alias))

    async def drift(self, name: str, alias: str = "production", *, days: int = 14) -> AliasDrift:
        """Return how the requests of an alias differ from the validation images of its versions.

        >>> drift = await client.models.drift("pet-cnn")
        >>> drift.state, drift.predictions
        ('no_reference', 0)
        """
        url = path("models", name, "aliases", alias, "drift")
        return parsed(AliasDrift, await self._http.call("GET", url, params={"days": days}))

    async def predict(
        self,
        reference: str,
        image: Image,
        *,
        top_k: int = 1,
        timeout_s: float | None = None,
        may_review: bool = True,
    ) -> ImagePrediction:
        """Classify one image: its bytes, its path or an open file. `timeout_s` is the prediction's deadline.

        Without `may_review`, the image is kept out of the review queue.
        """
        content = image_bytes(image)
        url, params = _predict(reference, top_k)
        headers = {"Content-Type": media_type(content)} | _headers(timeout_s, may_review)
        response = await self._http.call("POST", url, params=params, content=content, headers=headers)
        return parsed(ImagePrediction, response)

    async def predict_many(
        self,
        reference: str,
        images: Sequence[Image],
        *,
        top_k: int = 1,
        timeout_s: float | None = None,
        may_review: bool = True,
    ) -> tuple[IdentifiedResult, ...]:
        """Classify images in one request, in the order given; splits the request in half if it is too large.

        >>> results = await client.models.predict_many("pet-cnn", ["photo.png", b"bad bytes"])
        >>> results[0].predictions[0].label, results[1].error.message
        ('cat', 'the file is damaged')
        """
        if not images:
            return ()
        url, params = _predict(reference, top_k)
        headers = _headers(timeout_s, may_review)
        contents = [image_bytes(image) for image in images]
        files = [("image", (str(index), image, media_type(image))) for index, image in enumerate(contents)]
        try:
            response = await self._http.call("POST", url, params=params, files=files, headers=headers)
        except TooLarge:
            if len(contents) == 1:
                raise
            middle = len(contents) // 2
            options: dict[str, Any] = {"top_k": top_k, "timeout_s": timeout_s, "may_review": may_review}
            first = await self.predict_many(reference, contents[:middle], **options)
            return first + await self.predict_many(reference, contents[middle:], **options)
        return parsed(ManyPredictions, response).results

    async def _path(self, reference: str, *below: str) -> str:
        """Return the path of a version; asks the server which one an alias or a bare name means."""
        parts = parse(reference)
        version = parts.version
        if version is None:
            model = await self.get(parts.name)
            named = {alias.alias: alias.version for alias in model.aliases}
            ready = [number for number in model.versions if number not in model.rejected] or model.versions
            version = named.get(parts.alias) if parts.alias else next(iter(ready), None)
        if version is None:
            raise NotFound(status=404, code="not_found", message=f"there is no model version {reference}")
        return path("models", parts.name, "versions", version, *below)


def _predict(reference: str, top_k: int) -> tuple[str, dict[str, Any]]:
    parts = parse(reference)
    return path("models", parts.name, "predict"), given(top_k=top_k, alias=parts.alias, version=parts.version)


def _headers(timeout_s: float | None, may_review: bool) -> dict[str, str]:
    headers = {} if timeout_s is None else {"X-Request-Timeout": f"{timeout_s:g}"}
    return headers if may_review else headers | {"X-Tidepool-No-Review": "1"}
