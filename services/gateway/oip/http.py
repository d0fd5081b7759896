"""/v2: the Open Inference Protocol over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from contract.errors import NotFound
from services.gateway.dependencies import MAY_PREDICT, MAY_READ, Behind, key
from services.gateway.oip.infer import infer
from services.gateway.oip.messages import read_load
from services.gateway.oip.refusals import PREFIX
from services.gateway.serving.dataplane import EXTENSIONS, NAME, PLATFORM, VERSION, DataPlane
from services.gateway.serving.signature import Signature

# The protocol is described by its own standard, in its own words for errors, so not in the OpenAPI document of /v1.
router = APIRouter(prefix=PREFIX, tags=["inference protocol"], include_in_schema=False)

KNOWN = [Depends(key)]


def plane(behind: Behind) -> DataPlane:
    return behind.plane


Plane = Annotated[DataPlane, Depends(plane)]


@router.get("", dependencies=KNOWN)
def server_metadata() -> dict[str, Any]:
    return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}


@router.get("/health/live", dependencies=KNOWN)
def server_live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready", dependencies=KNOWN)
async def server_ready(plane: Plane) -> Response:
    ready = await plane.ready()
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@router.get("/models/{model}", dependencies=MAY_READ)
@router.get("/models/{model}/versions/{version}", dependencies=MAY_READ)
async def model_metadata(model: str, plane: Plane, version: str = "") -> dict[str, Any]:
    """The name, every version or the one asked for, and the tensors; a free axis is -1."""
    found = await plane.model_metadata(model, version)
    return {
        "name": found.served.target.model,
        "versions": [str(number) for number in found.versions],
        "platform": PLATFORM,
        "inputs": [_described(signature) for signature in found.served.inputs.values()],
        "outputs": [_described(signature) for signature in found.served.outputs.values()],
    }


@router.get("/models/{model}/ready", dependencies=MAY_READ)
@router.get("/models/{model}/versions/{version}/ready", dependencies=MAY_READ)
async def model_ready(model: str, plane: Plane, version: str = "") -> dict[str, Any]:
    if not await plane.model_ready(model, version):
        raise NotFound(f"there is no model {model[:80]!r}{f' of the version {version[:80]!r}' if version else ''}")
    return {"name": model, "ready": True}


@router.post("/models/{model}/infer", dependencies=MAY_PREDICT)
@router.post("/models/{model}/versions/{version}/infer", dependencies=MAY_PREDICT)
async def model_infer(model: str, request: Request, behind: Behind, plane: Plane, version: str = "") -> Response:
    """JSON, or JSON and raw tensors, in and out."""
    body = await request.body()
    encoded = await infer(plane, request.headers.raw, body, model, version, behind.settings.max_predict_bytes)
    response = Response(encoded.body)
    response.raw_headers = encoded.headers
    return response


@router.post("/repository/index", dependencies=MAY_READ)
async def repository_index(plane: Plane) -> list[dict[str, str]]:
    """Every version; each is ready, so `{"ready": true}` asks for the same."""
    return [
        {"name": found.name, "version": str(found.version), "state": found.state, "reason": ""}
        for found in await plane.index()
    ]


@router.post("/repository/models/{model}/load", dependencies=MAY_PREDICT)
async def load(model: str, request: Request, plane: Plane) -> None:
    """Have a replica load the model now, which the first request would do."""
    read_load(await request.body())  # which tritonclient sends without a Content-Type
    await plane.load(model)


@router.post("/repository/models/{model}/unload", dependencies=MAY_PREDICT)
async def unload(model: str, plane: Plane) -> None:
    """Granted, and nothing changes: replicas let go by themselves of what is not used."""
    await plane.unload(model)


def _described(signature: Signature) -> dict[str, Any]:
    return {"name": signature.name, "datatype": signature.datatype.name, "shape": signature.shape}
