"""/serving: which versions answer the requests for an alias, how many there were, and how long they took."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.access import DEFAULT_PROJECT
from contract.base import NAME_PATTERN
from contract.catalog import Traffic
from contract.errors import Invalid
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.viewer import MAY_CHANGE, MAY_SEE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath
from services.gateway.serving.batching.metrics import STARTED, answered
from services.storage.screens.models import ModelScreens
from services.storage.screens.sampling import SamplingScreen
from services.storage.screens.serving import ServingScreen

router = APIRouter(include_in_schema=False)

PAGE = 50
NEWEST = 4  # versions that can get a share, beside those that have one
VERSIONS = 50  # that a shadow can be chosen of

_SHARE = re.compile(r"share-([1-9][0-9]{0,8})")


@router.get("/serving", dependencies=MAY_SEE)
def list_served(
    request: Request,
    viewer: ViewerDep,
    name: Annotated[str, Query(max_length=63)] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Models with their aliases, and their requests in this gateway."""
    screens = ModelScreens(viewer.stores.database, viewer.caller.project)
    models = screens.page(name.strip(), PAGE, cursor)
    return page(
        request,
        viewer,
        "serving.html",
        screen="serving",
        lines=models.newest,
        served=models.served,
        traffic={line.name: answered(_label(viewer, line.name)) for line in models.newest if models.served[line.name]},
        since=STARTED,
        next=models.next,
        name=name.strip(),
        cursor=cursor,
    )


@router.get("/serving/{model}", dependencies=MAY_SEE)
def show_model(request: Request, viewer: ViewerDep, model: NamePath) -> Response:
    """The aliases of a model with their traffic, and the numbers of its versions."""
    lines, aliases, _ = ModelScreens(viewer.stores.database, viewer.caller.project).versions(model, VERSIONS)
    ready = [line for line in lines if not line.rejected and not line.quarantined]
    newest = [line.version for line in ready[:NEWEST]]
    numbers = answered(_label(viewer, model))
    shown = {*numbers, *(version for alias in aliases for version in (*alias.versions, alias.shadow) if version)}
    return page(
        request,
        viewer,
        "serving_model.html",
        screen="serving",
        model=model,
        aliases=aliases,
        candidates={alias.alias: sorted({*alias.versions, *newest}, reverse=True) for alias in aliases},
        ready=ready,
        lines={line.version: line for line in lines},
        shown=sorted(shown, reverse=True),
        numbers=numbers,
        since=STARTED,
        changes=ServingScreen(viewer.stores.database, viewer.caller.project).changes(model),
        sampled=SamplingScreen(viewer.stores.database, viewer.caller.project).of_model(model),
    )


@router.post("/serving/{model}", dependencies=MAY_CHANGE)
def add_alias(
    viewer: ViewerDep,
    model: NamePath,
    alias: Annotated[str, Form(pattern=NAME_PATTERN)] = "production",
    version: Annotated[int, Form(ge=1, le=2**31 - 1)] = 1,
) -> Response:
    """Make an alias that points at a version."""
    viewer.stores.models.set_alias(model, alias, version)
    viewer.backends.forget_models()
    return redirect(f"/serving/{model}", f"{model}@{alias} is version {version}.")


@router.post("/serving/{model}/{alias}", dependencies=MAY_CHANGE)
async def set_traffic(request: Request, viewer: ViewerDep, model: NamePath, alias: NamePath) -> Response:
    """Divide the requests of an alias, and set its shadow."""
    form = await form_of(request)
    shares = {int(match[1]): value for name, value in form.items() if (match := _SHARE.fullmatch(name))}
    if not all(re.fullmatch("[0-9]{1,3}", value) for value in shares.values()):
        raise Invalid("the shares must be whole numbers from 0 to 100")
    total = sum(map(int, shares.values()))
    if total != 100:
        raise Invalid(f"the shares add up to {total} %; they must add up to 100 %")
    shadow = form.get("shadow", "")
    versions = {version: int(share) for version, share in shares.items() if int(share)}
    try:
        traffic = Traffic(versions=versions, shadow=int(shadow) if shadow.isdecimal() else None)
    except ValidationError as error:
        raise Invalid("versions are numbers from 1") from error
    return await run_in_threadpool(_set, viewer, model, alias, traffic, "again" in form)


@router.post("/serving/{model}/{alias}/delete", dependencies=MAY_CHANGE)
def delete_alias(viewer: ViewerDep, model: NamePath, alias: NamePath) -> Response:
    """Remove an alias."""
    viewer.stores.models.delete_alias(model, alias)
    viewer.backends.forget_models()
    return redirect(f"/serving/{model}", f"The alias {alias} is gone.")


def _set(viewer: Viewer, model: str, alias: str, traffic: Traffic, again: bool) -> Response:
    """Set the traffic, and say so; `again` if the alias had this traffic before."""
    viewer.stores.models.split_alias(model, alias, traffic)
    viewer.backends.forget_models()
    versions = traffic.versions
    if len(versions) == 1:
        text = f"{model}@{alias} is version {next(iter(versions))} {'again' if again else 'now'}"
    else:
        shares = (f"version {version} gets {share} %" for version, share in versions.items())
        text = f"{model}@{alias}: {', '.join(shares)}"
    shadow = f", with version {traffic.shadow} as its shadow" if traffic.shadow else ""
    return redirect(f"/serving/{model}", f"{text}{shadow}.")


def _label(viewer: Viewer, model: str) -> str:
    """Return the model's name in metrics, as `Target.label`."""
    project = viewer.caller.project
    return model if project == DEFAULT_PROJECT else f"{project}/{model}"
