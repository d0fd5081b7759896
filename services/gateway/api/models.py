"""/v1/models: versions, lineage, aliases and their drift."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Discriminator, Tag
from starlette.responses import RedirectResponse

from contract.base import Frozen, Version
from contract.catalog import Alias, Model, ModelVersion, Traffic
from contract.drift import AliasDrift
from contract.references import Reference
from contract.variants import VariantName
from services.gateway.dependencies import (
    MAY_READ,
    MAY_WRITE,
    BackendsDep,
    Cursor,
    Limit,
    NamePath,
    StoresDep,
    VersionPath,
)
from services.gateway.edge.problems import documented
from services.storage.catalog.models import ModelPage

router = APIRouter(prefix="/v1/models", tags=["models"])

MOST_DAYS = 90


class OneVersion(Frozen):
    version: Version
    shadow: Version | None = None


def _tag_of(target: object) -> str:
    return "split" if isinstance(target, Traffic) or (isinstance(target, dict) and "versions" in target) else "one"


AliasTarget = Annotated[Annotated[OneVersion, Tag("one")] | Annotated[Traffic, Tag("split")], Discriminator(_tag_of)]


@router.get("", dependencies=MAY_READ, responses=documented())
def list_models(stores: StoresDep, limit: Limit = 50, cursor: Cursor = None) -> ModelPage:
    """Models, by name."""
    return stores.models.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_model(name: NamePath, stores: StoresDep) -> Model:
    """A model, its versions and aliases."""
    return stores.models.named(name)


@router.get("/{name}/versions/{version}", dependencies=MAY_READ, responses=documented(404))
def get_version(name: NamePath, version: VersionPath, stores: StoresDep) -> ModelVersion:
    """Status, metrics, lineage, signature, labels, aliases, SHA-256, and the provider that last loaded it."""
    return stores.models.get(Reference(name=name, version=version))


@router.get(
    "/{name}/versions/{version}/artifact",
    status_code=307,
    response_class=RedirectResponse,
    dependencies=MAY_READ,
    responses=documented(404),
)
def get_artifact(name: NamePath, version: VersionPath, backends: BackendsDep, stores: StoresDep) -> str:
    """Redirect to a presigned URL of the ONNX file."""
    _, manifest = stores.models.manifest(Reference(name=name, version=version))
    return backends.stores.objects.download_url(manifest.artifact)


@router.put("/{name}/versions/{version}/variants/{variant}/serving", dependencies=MAY_WRITE, responses=documented(404))
def pin_variant(
    name: NamePath, version: VersionPath, variant: VariantName, backends: BackendsDep, stores: StoresDep
) -> ModelVersion:
    """Let this variant answer in place of the one that training chose. Other gateways follow within a second."""
    pinned = stores.models.pin_variant(Reference(name=name, version=version), variant)
    backends.forget_models()
    return pinned


@router.delete(
    "/{name}/versions/{version}/variants/{variant}/serving", dependencies=MAY_WRITE, responses=documented(404, 409)
)
def unpin_variant(
    name: NamePath, version: VersionPath, variant: VariantName, backends: BackendsDep, stores: StoresDep
) -> ModelVersion:
    """Let the variant answer again that training chose."""
    unpinned = stores.models.unpin_variant(Reference(name=name, version=version), variant)
    backends.forget_models()
    return unpinned


@router.delete("/{name}/versions/{version}/quarantine", dependencies=MAY_WRITE, responses=documented(404))
def lift_quarantine(name: NamePath, version: VersionPath, backends: BackendsDep, stores: StoresDep) -> ModelVersion:
    """Let a version serve again that was quarantined because its runs took too long."""
    lifted = stores.models.lift_quarantine(Reference(name=name, version=version))
    backends.forget_models()
    return lifted


@router.delete("/{name}/versions/{version}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_version(name: NamePath, version: VersionPath, backends: BackendsDep, stores: StoresDep) -> None:
    """Delete a version that no alias points at."""
    stores.models.delete(Reference(name=name, version=version))
    backends.forget_models()


@router.put("/{name}/aliases/{alias}", dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def set_alias(name: NamePath, alias: NamePath, target: AliasTarget, backends: BackendsDep, stores: StoresDep) -> Alias:
    """Point an alias at a version, or at several that share its requests, atomically; a shadow gets a copy of each."""
    if isinstance(target, OneVersion):
        target = Traffic(versions={target.version: 100}, shadow=target.shadow)
    pointed = stores.models.split_alias(name, alias, target)
    backends.forget_models()
    return pointed


@router.delete("/{name}/aliases/{alias}", status_code=204, dependencies=MAY_WRITE, responses=documented(404))
def delete_alias(name: NamePath, alias: NamePath, backends: BackendsDep, stores: StoresDep) -> None:
    """Remove an alias; the version stays."""
    stores.models.delete_alias(name, alias)
    backends.forget_models()


@router.get("/{name}/aliases/{alias}/drift", dependencies=MAY_READ, responses=documented(404))
def get_drift(
    name: NamePath,
    alias: NamePath,
    stores: StoresDep,
    days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="The last days to report on, in UTC.")] = 14,
) -> AliasDrift:
    """How the requests of an alias differ from the validation images of its versions, by day.

    Compares counts, which replicas write every 30 seconds; no image is kept for it.
    """
    return stores.drift.of_alias(name, alias, days)
