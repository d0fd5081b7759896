"""/v1/models/{name}/versions/{version}: the model card, and the export as a zip."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, StreamingResponse

from contract.errors import NotFound
from contract.references import Reference
from contract.training import ModelManifest
from contract.variants import VariantName, artifact_of
from services.gateway.dependencies import MAY_READ, BackendsDep, NamePath, StoresDep, VersionPath
from services.gateway.edge.problems import documented
from services.gateway.model_files.card import card_of
from services.gateway.model_files.export import exported, files_of
from services.storage.stores import ProjectStores

router = APIRouter(prefix="/v1/models", tags=["models"])

MARKDOWN = "text/markdown"
ZIP = "application/zip"

Responses = dict[int | str, dict[str, Any]]

_CARD: Responses = {200: {"content": {MARKDOWN: {"schema": {"type": "string"}}}, "description": "The card."}}
_ZIP = {"type": "string", "format": "binary"}
_EXPORT: Responses = {200: {"content": {ZIP: {"schema": _ZIP}}, "description": "The zip."}}


@router.get(
    "/{name}/versions/{version}/card",
    response_class=PlainTextResponse,
    dependencies=MAY_READ,
    responses=documented(404) | _CARD,
)
def get_card(name: NamePath, version: VersionPath, stores: StoresDep) -> PlainTextResponse:
    """The model card: what the version was trained on, how good it is, where it is weak, how to call it."""
    reference, manifest = stores.models.manifest(Reference(name=name, version=version))
    return PlainTextResponse(_card(stores, reference, manifest), media_type=MARKDOWN)


@router.get(
    "/{name}/versions/{version}/export",
    response_class=StreamingResponse,
    dependencies=MAY_READ,
    responses=documented(404) | _EXPORT,
)
def export_version(
    name: NamePath,
    version: VersionPath,
    backends: BackendsDep,
    stores: StoresDep,
    variant: Annotated[VariantName | None, Query(description="The one that serves if left out.")] = None,
) -> StreamingResponse:
    """A zip with the ONNX file, labels, preprocessing, the card, and a `predict.py` that answers like the server."""
    reference, manifest = stores.models.manifest(Reference(name=name, version=version))
    variant = variant or manifest.serving
    artifact = artifact_of(manifest, variant)
    if artifact is None:
        raise NotFound(f"{reference} has no variant {variant}")
    texts = files_of(manifest, _card(stores, reference, manifest))
    chunks = exported(backends.stores.objects, artifact, texts)
    headers = {"Content-Disposition": f'attachment; filename="{name}-{version}-{variant}.zip"'}
    return StreamingResponse(chunks, media_type=ZIP, headers=headers)


def _card(stores: ProjectStores, reference: Reference, manifest: ModelManifest) -> str:
    """Return the card, with what is known of the dataset if it still exists."""
    dataset = None
    if manifest.dataset is not None:
        with suppress(NotFound):
            dataset = stores.datasets.get(Reference.parse(manifest.dataset))
    return card_of(reference, manifest, dataset)
