"""Backbones: pretrained networks that a training may start from."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.backbones import Backbone, BackboneVersion
from tidepool_client._sync.jobs import Job, Jobs
from tidepool_client._sync.transport import Transport
from tidepool_client.files import FilePath, OnBytes, json_part, opened
from tidepool_client.references import path, pinned
from tidepool_client.responses import parsed


class Backbones:
    """`client.backbones`."""

    def __init__(self, http: Transport, jobs: Jobs) -> None:
        self._http = http
        self._jobs = jobs

    def upload(
        self,
        name: str,
        file: FilePath,
        *,
        metadata: Mapping[str, Any] | None = None,
        on_bytes: OnBytes | None = None,
    ) -> Job:
        """Upload a safetensors or an ONNX file as a new version; returns the job that checks it.

        `metadata` has `architecture`, `preprocessing` and `licence`.
        """
        filename, backbone = opened(file, on_bytes)
        with backbone as stream:
            form = {"backbone": (filename, stream, "application/octet-stream")}
            form |= json_part("metadata", {"name": name, **(metadata or {})})
            return self._jobs.read(self._http.create(path("backbones"), files=form))

    def list(self, *, limit: int | None = None) -> Iterator[Backbone]:
        """Yield backbones by name, also those that come with Tidepool.

        >>> [backbone.name for backbone in client.backbones.list()]
        ['lite0', 'lite1', 'lite2', 'pet-body']
        """
        for backbone in self._http.pages(Backbone, path("backbones"), limit):
            yield backbone

    def get(self, name: str) -> Backbone:
        """Return a backbone, its versions, and what the newest one takes."""
        return parsed(Backbone, self._http.call("GET", path("backbones", name)))

    def version(self, reference: str) -> BackboneVersion:
        """Return a version; the reference must name it, like `mine@1`."""
        name, version = pinned(reference)
        return parsed(BackboneVersion, self._http.call("GET", path("backbones", name, "versions", version)))

    def delete(self, reference: str) -> None:
        """Delete a version that no job uses; models that were trained from it stay."""
        name, version = pinned(reference)
        self._http.delete(path("backbones", name, "versions", version))
