"""/v1/models: versions, lineage and aliases."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Discriminator, Tag
from starlette.responses import RedirectResponse

from contract.base import Frozen, Version
from contract.catalog import Alias, Model, ModelVersion
from contract.references import Reference
from contract.traffic import Traffic
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Behind, Cursor, Limit, NamePath, VersionPath
from services.gateway.edge.problems import documented
from services.storage.catalog.models import ModelPage

router = APIRouter(prefix="/v1/models", tags=["models"])


class OneVersion(Frozen):
    version: Version
    shadow: Version | None = None


def _which(target: object) -> str:
    return "split" if isinstance(target, Traffic) or (isinstance(target, dict) and "versions" in target) else "one"


AliasTarget = Annotated[Annotated[OneVersion, Tag("one")] | Annotated[Traffic, Tag("split")], Discriminator(_which)]


@router.get("", dependencies=MAY_READ, responses=documented())
def list_models(behind: Behind, limit: Limit = 50, cursor: Cursor = None) -> ModelPage:
    """Models, by name."""
    return behind.stores.models.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_model(name: NamePath, behind: Behind) -> Model:
    """A model, its versions and aliases."""
    return behind.stores.models.named(name)


@router.get("/{name}/versions/{version}", dependencies=MAY_READ, responses=documented(404))
def get_version(name: NamePath, version: VersionPath, behind: Behind) -> ModelVersion:
    """Whether it is ready, metrics, lineage, signature, labels, aliases, SHA-256, the provider that last loaded it."""
    return behind.stores.models.get(Reference(name=name, version=version))


@router.get(
    "/{name}/versions/{version}/artifact",
    status_code=307,
    response_class=RedirectResponse,
    dependencies=MAY_READ,
    responses=documented(404),
)
def get_artifact(name: NamePath, version: VersionPath, behind: Behind) -> str:
    """Redirect to a presigned URL of the ONNX file."""
    _, manifest = behind.stores.models.manifest(Reference(name=name, version=version))
    return behind.stores.objects.download_url(manifest.artifact)


@router.delete("/{name}/versions/{version}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_version(name: NamePath, version: VersionPath, behind: Behind) -> None:
    """Delete a version that no alias points at."""
    behind.stores.models.delete(Reference(name=name, version=version))
    behind.forget_models()


@router.put("/{name}/aliases/{alias}", dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def set_alias(name: NamePath, alias: NamePath, target: AliasTarget, behind: Behind) -> Alias:
    """Point an alias at a version, or at several that share its requests, atomically; a shadow gets copies of each."""
    if isinstance(target, OneVersion):
        target = Traffic(versions={target.version: 100}, shadow=target.shadow)
    pointed = behind.stores.models.split_alias(name, alias, target)
    behind.forget_models()
    return pointed


@router.delete("/{name}/aliases/{alias}", status_code=204, dependencies=MAY_WRITE, responses=documented(404))
def delete_alias(name: NamePath, alias: NamePath, behind: Behind) -> None:
    """Remove an alias; the version stays."""
    behind.stores.models.delete_alias(name, alias)
    behind.forget_models()
