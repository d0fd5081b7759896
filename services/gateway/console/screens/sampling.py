"""/serving/{model}/{alias}/review: which predictions of an alias go to the review queue."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.base import first_fault
from contract.errors import Invalid
from contract.sampling import ReviewSampling
from services.gateway.console.pages import form_of, redirect
from services.gateway.console.sign_in import own_path
from services.gateway.console.viewer import MAY_CHANGE, Viewer, ViewerDep
from services.gateway.dependencies import NamePath

router = APIRouter(prefix="/serving/{model}/{alias}/review", include_in_schema=False)

MIB = 1 << 20
MIX = ("margin", "random", "disagreement")


@router.post("", dependencies=MAY_CHANGE)
async def set_sampling(request: Request, viewer: ViewerDep, model: NamePath, alias: NamePath) -> Response:
    """Turn sampling on, or change it."""
    form = await form_of(request)
    return await run_in_threadpool(_set, viewer, model, alias, form)


@router.post("/stop", dependencies=MAY_CHANGE)
def stop_sampling(viewer: ViewerDep, model: NamePath, alias: NamePath) -> Response:
    """Turn sampling off; the images in the queue stay."""
    viewer.stores.sampling.stop(model, alias)
    viewer.backends.forget_models()
    return redirect(f"/serving/{model}", f"Predictions of {alias} are no longer sampled. The images in the queue stay.")


def _set(viewer: Viewer, model: str, alias: str, form: Mapping[str, str]) -> Response:
    settings = sampling_of(form)
    viewer.stores.sampling.set(model, alias, settings)
    viewer.backends.forget_models()
    then = own_path(form["then"]) if "then" in form else f"/serving/{model}"
    return redirect(then, f"Up to {settings.rate_per_day} images a day of {model}@{alias} go to the review queue.")


def sampling_of(form: Mapping[str, str]) -> ReviewSampling:
    """Return the settings of a form, whose shares are percentages; what is left out has its default. Raises Invalid."""
    values: dict[str, object] = {
        name: _number(form[name], name) for name in ("rate_per_day", "keep_days", "votes") if form.get(name)
    }
    if form.get("max_mib"):
        values["max_bytes"] = _number(form["max_mib"], "copies") * MIB
    if any(name in form for name in MIX):
        shares = {name: _number(form.get(name) or "0", name) for name in MIX}
        if sum(shares.values()) != 100:
            raise Invalid(f"the three shares add up to {sum(shares.values())} %; they must add up to 100 %")
        values["mix"] = {name: share / 100 for name, share in shares.items()}
    try:
        return ReviewSampling.model_validate(values)
    except ValidationError as error:
        place, reason = first_fault(error)
        name = str(place[0]).replace("_", " ") if place else "settings"
        raise Invalid(f"{name}: {reason}") from error


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Invalid(f"{name.replace('_', ' ')} must be a whole number")
    return int(text)
