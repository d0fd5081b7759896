"""What a person can do with a model version: promote, evaluate, choose the variant, delete."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from pydantic import ValidationError

from contract.base import NAME_PATTERN
from contract.catalog import Traffic
from contract.datasets import Split
from contract.errors import Invalid
from contract.jobs import JobKind
from contract.kinds.evaluate import EvaluateRequest, EvaluateSpec
from contract.references import Reference
from contract.variants import VariantName
from services.gateway.console.pages import redirect
from services.gateway.console.sign_in import own_path
from services.gateway.console.viewer import MAY_CHANGE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath, VersionPath
from services.gateway.edge.request_id import current_request_id
from services.storage.pinning import pinned

router = APIRouter(prefix="/models/{name}/{version}", include_in_schema=False)

Field = Annotated[str, Form(max_length=255)]
AliasField = Annotated[str, Form(pattern=NAME_PATTERN)]


@router.post("/promote", dependencies=MAY_CHANGE)
def promote(
    viewer: ViewerDep, name: NamePath, version: VersionPath, alias: AliasField = "production", then: Field = ""
) -> Response:
    """Give a version all requests of an alias; a shadow stays."""
    models = viewer.stores.models
    pointed = {one.alias: one for one in models.named(name).aliases}
    shadow = pointed[alias].shadow if alias in pointed else None
    models.split_alias(name, alias, Traffic(versions={version: 100}, shadow=None if shadow == version else shadow))
    viewer.backends.forget_models()
    return redirect(_then(name, version, then), f"{name}@{alias} is version {version} now.")


@router.post("/variant", dependencies=MAY_CHANGE)
def pin(viewer: ViewerDep, name: NamePath, version: VersionPath, variant: VariantName | None = Form(None)) -> Response:  # noqa: B008
    """Let a variant answer, or without one the variant that training chose."""
    reference, models = Reference(name=name, version=version), viewer.stores.models
    if variant is None:
        pinned_now = models.get(reference).pinned
        serving = models.unpin_variant(reference, pinned_now).serving if pinned_now else models.get(reference).serving
    else:
        serving = models.pin_variant(reference, variant).serving
    viewer.backends.forget_models()
    return redirect(f"/models/{name}/{version}#variants", f"Version {version} now answers with {serving}.")


@router.post("/serve-again", dependencies=MAY_CHANGE)
def lift_quarantine(viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """Let a quarantined version serve again."""
    viewer.stores.models.lift_quarantine(Reference(name=name, version=version))
    viewer.backends.forget_models()
    return redirect(f"/models/{name}/{version}", f"Version {version} serves again.")


@router.post("/delete", dependencies=MAY_CHANGE)
def delete(viewer: ViewerDep, name: NamePath, version: VersionPath) -> Response:
    """Delete a version."""
    viewer.stores.models.delete(Reference(name=name, version=version))
    viewer.backends.forget_models()
    left = viewer.stores.models.known(name)
    return redirect(f"/models/{name}" if left else "/models", f"{name}@{version} was deleted.")


@router.post("/evaluate", dependencies=MAY_CHANGE)
def evaluate(
    viewer: ViewerDep,
    name: NamePath,
    version: VersionPath,
    dataset: Field = "",
    split: Split | None = Form(None),  # noqa: B008
    compare_with: Field = "",
    then: Field = "",
) -> Response:
    """Judge a version on a split of a dataset: by default of the one that it was trained on."""
    _, manifest = viewer.stores.models.manifest(Reference(name=name, version=version))
    dataset = dataset.strip() or manifest.dataset or ""
    if not dataset:
        raise Invalid("name a dataset to evaluate the model on")
    if split is None:
        split = Split.TEST if manifest.metrics is None or manifest.metrics.test else Split.VAL
    job = _submit(viewer, f"{name}@{version}", dataset, split, compare_with.strip() or None)
    return redirect(_then(name, version, then), f"Evaluating on {dataset}; job {job[-8:]} has begun.")


def _submit(viewer: Viewer, model: str, dataset: str, split: Split, compare_with: str | None) -> str:
    """Submit an evaluation; return the job's id. Raises Invalid, and what `pinned` raises."""
    try:
        spec = EvaluateSpec(model=model, dataset=dataset, split=split, compare_with=compare_with)
    except ValidationError as error:
        raise Invalid("write a model as name or name@version") from error
    request = pinned(EvaluateRequest(kind=JobKind("evaluate"), spec=spec), viewer.stores)
    return viewer.stores.jobs.create(request, current_request_id()).id


def _then(name: str, version: int, then: str) -> str:
    """Return the page to go back to: one of the console's own, by default the version's."""
    return own_path(then) if then else f"/models/{name}/{version}"
