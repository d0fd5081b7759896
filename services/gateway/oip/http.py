"""/v2: the Open Inference Protocol over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from services.gateway.dependencies import MAY_PREDICT, MAY_READ, BackendsDep, CallerDep, get_caller
from services.gateway.edge.body_limit import HOLD
from services.gateway.oip.infer import infer
from services.gateway.oip.messages import read_load
from services.gateway.oip.refusals import PREFIX
from services.gateway.serving.dataplane import EXTENSIONS, NAME, PLATFORM, VERSION, DataPlane
from services.gateway.serving.served import no_such_model
from services.gateway.serving.signature import ServedTensor

# Not in the OpenAPI document of /v1: the protocol has its own specification, and its own format of errors.
router = APIRouter(prefix=PREFIX, tags=["inference protocol"], include_in_schema=False)

ANY_KEY = [Depends(get_caller)]


def plane(backends: BackendsDep) -> DataPlane:
    return backends.plane


Plane = Annotated[DataPlane, Depends(plane)]


@router.get("", dependencies=ANY_KEY)
def server_metadata() -> dict[str, Any]:
    return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}


# Health needs no key, as with /livez and /readyz.


@router.get("/health/live")
def server_live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready")
async def server_ready(plane: Plane) -> Response:
    ready = await plane.ready()
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@router.get("/models/{model}", dependencies=MAY_READ)
@router.get("/models/{model}/versions/{version}", dependencies=MAY_READ)
async def model_metadata(model: str, plane: Plane, caller: CallerDep, version: str = "") -> dict[str, Any]:
    """Return the name, every version or the requested one, and the tensors; a dynamic axis is -1."""
    metadata = await plane.model_metadata(caller.project, model, version)
    return {
        "name": metadata.served.target.model,
        "versions": [str(number) for number in metadata.versions],
        "platform": PLATFORM,
        "inputs": [_described(tensor) for tensor in metadata.served.inputs.values()],
        "outputs": [_described(tensor) for tensor in metadata.served.outputs.values()],
    }


@router.get("/models/{model}/ready", dependencies=MAY_READ)
@router.get("/models/{model}/versions/{version}/ready", dependencies=MAY_READ)
async def model_ready(model: str, plane: Plane, caller: CallerDep, version: str = "") -> dict[str, Any]:
    if not await plane.model_ready(caller.project, model, version):
        raise no_such_model(model, version)
    return {"name": model, "ready": True}


@router.post("/models/{model}/infer", dependencies=MAY_PREDICT)
@router.post("/models/{model}/versions/{version}/infer", dependencies=MAY_PREDICT)
async def model_infer(
    model: str, request: Request, backends: BackendsDep, caller: CallerDep, version: str = ""
) -> Response:
    """Take and return JSON, or JSON followed by raw tensors."""
    body = await request.body()
    limit, source = backends.settings.max_predict_bytes, (caller.project, model, version)
    encoded = await infer(backends.plane, request.headers.raw, body, source, limit, request.scope[HOLD])
    response = Response(encoded.body)
    response.raw_headers = encoded.headers
    return response


@router.post("/repository/index", dependencies=MAY_READ)
async def repository_index(plane: Plane, caller: CallerDep) -> list[dict[str, str]]:
    """Return every version; all are ready, so `{"ready": true}` in the body changes nothing."""
    return [
        {"name": version.name, "version": str(version.version), "state": version.state, "reason": ""}
        for version in await plane.index(caller.project)
    ]


@router.post("/repository/models/{model}/load", dependencies=MAY_PREDICT)
async def load(model: str, request: Request, plane: Plane, caller: CallerDep) -> None:
    """Make a replica load the model now, instead of at the first request."""
    read_load(await request.body())  # tritonclient sends it without a Content-Type
    await plane.load(caller.project, model)


@router.post("/repository/models/{model}/unload", dependencies=MAY_PREDICT)
async def unload(model: str, plane: Plane, caller: CallerDep) -> None:
    """Succeed without any effect: replicas evict unused models themselves."""
    await plane.unload(caller.project, model)


def _described(tensor: ServedTensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype.name, "shape": tensor.shape}
