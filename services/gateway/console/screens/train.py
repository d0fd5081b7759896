"""/train: a form of the spec of a training, with its defaults explained."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.errors import Refused
from contract.jobs import JobKind
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import Reference
from contract.training import BACKBONE_NAMES
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.viewer import MAY_CHANGE, ViewerDep
from services.gateway.edge.request_id import current_request_id
from services.gateway.edge.validation_errors import faults_of
from services.storage.pinning import pinned
from services.storage.screens.datasets import DatasetScreens

router = APIRouter(include_in_schema=False)

LISTED = 200
NUMBERS = ("epochs", "batch_size", "patience", "seed", "folds")
# What a search may try, by the name of its box in the form: the field of the training, its values and a label.
SEARCHES: dict[str, tuple[str, Any, str]] = {
    "over_method": ("method", ["probe", "fine_tune", "scratch"], "Method"),
    "over_lr": ("optimizer.lr", {"low": 0.0003, "high": 0.3, "log": True}, "Learning rate, 0.0003 to 0.3"),
    "over_batch": ("batch_size", [32, 64, 128, 256], "Batch size, 32 to 256"),
    "over_smoothing": ("label_smoothing", {"low": 0.0, "high": 0.2}, "Label smoothing, 0 to 0.2"),
    "over_decay": ("optimizer.weight_decay", {"low": 0.00001, "high": 0.01, "log": True}, "Weight decay"),
    "over_schedule": ("schedule", ["onecycle", "cosine", "constant"], "Schedule"),
}
SEARCH = ("trials", "objective", "ensemble")  # any of these makes the training a search, as in the command line
TEXTS = ("dataset", "model", "method", "init_from", "schedule", "class_weights")


@router.get("/train", dependencies=MAY_CHANGE)
def train_form(request: Request, viewer: ViewerDep, dataset: Annotated[str, Query(max_length=127)] = "") -> Response:
    """The empty form, for the newest dataset unless the address names one."""
    return _form(request, viewer, {"dataset": dataset, "model": dataset.partition("@")[0]}, ())


@router.post("/train", dependencies=MAY_CHANGE)
async def train(request: Request, viewer: ViewerDep) -> Response:
    """Submit the training, or show the form again with what to change."""
    values = await form_of(request)
    return await run_in_threadpool(_submit, request, viewer, values)


def _submit(request: Request, viewer: ViewerDep, values: Mapping[str, str]) -> Response:
    fields = spec_of(values)
    try:
        training = TrainRequest(kind=JobKind.TRAIN, spec=TrainSpec.model_validate(fields))
        job = viewer.stores.jobs.create(pinned(training, viewer.stores), current_request_id())
    except ValidationError as error:
        errors = [{**entry, "loc": ("body", *entry["loc"])} for entry in error.errors()]
        faults = faults_of(errors, fields)
        places = {"body": ""}  # that of an error which concerns several fields
        return _form(
            request, viewer, values, tuple((places.get(fault.where, fault.where), fault.message) for fault in faults)
        )
    except Refused as error:
        return _form(request, viewer, values, (("", error.message),))
    return redirect(f"/jobs/{job.id}")


def spec_of(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a spec from those of the form; empty ones are left to Tidepool."""
    given = {name: value.strip() for name, value in values.items() if value.strip()}
    fields: dict[str, Any] = {name: given[name] for name in TEXTS if name in given}
    fields |= {name: _number(given[name]) for name in (*NUMBERS, "label_smoothing") if name in given}
    minutes = {"minutes": _number(given["minutes"])} if "minutes" in given else {}
    if any(name in given for name in SEARCH):
        over = {field: values for box, (field, values, _) in SEARCHES.items() if box in given}
        objective = {"objective": given["objective"]} if "objective" in given else {}
        counts = {name: _number(given[name]) for name in ("trials", "ensemble") if name in given}
        fields["search"] = {"over": over, **counts, **objective, **minutes}
    elif minutes:
        fields["budget"] = minutes
    if "architecture" in given:
        fields["architecture"] = {"name": given["architecture"]}
    if "optimizer" in given or "lr" in given:
        rate = {"lr": _number(given["lr"])} if "lr" in given else {}
        fields["optimizer"] = {"name": given.get("optimizer", "adam"), **rate}
    if "augment" in given:
        fields["augment"] = given["augment"] == "on"
    return fields


def _number(text: str) -> object:
    """Return the number in a text, or the text, which the spec then refuses with the reason."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _form(
    request: Request, viewer: ViewerDep, values: Mapping[str, str], faults: tuple[tuple[str, str], ...]
) -> Response:
    references = DatasetScreens(viewer.stores.database, viewer.caller.project).references(LISTED)
    chosen = values.get("dataset", "")
    if chosen and chosen not in references:
        chosen = _resolved(viewer, chosen)
        references = tuple(dict.fromkeys((chosen, *references))) if chosen else references
    wrong = {where.partition(".")[0] for where, _ in faults}
    return page(
        request,
        viewer,
        "train.html",
        screen="models",
        status=422 if faults else 200,
        references=references,
        chosen=chosen or (references[0] if references else ""),
        values=values,
        faults=faults,
        wrong=wrong,
        expert=bool(wrong - {"", "dataset", "model", "search"}),
        searching=any(values.get(name) for name in SEARCH),
        searches={box: label for box, (_, _, label) in SEARCHES.items()},
        backbones=BACKBONE_NAMES,
    )


def _resolved(viewer: ViewerDep, text: str) -> str:
    """Return a dataset's reference with its version, "" if there is none."""
    try:
        reference, _ = viewer.stores.datasets.manifest(Reference.parse(text))
    except (Refused, ValueError):
        return ""
    return str(reference)
