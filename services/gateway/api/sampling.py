"""/v1/models/{name}/aliases/{alias}/review: which predictions of an alias go to the review queue."""

from fastapi import APIRouter

from contract.sampling import AliasSampling, ReviewSampling
from services.gateway.dependencies import MAY_READ, MAY_WRITE, BackendsDep, NamePath, StoresDep
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("/{name}/aliases/{alias}/review", dependencies=MAY_READ, responses=documented(404))
def get_sampling(name: NamePath, alias: NamePath, stores: StoresDep) -> AliasSampling:
    """The sampling of an alias for reviews, and how many images it took today; 404 if it is off."""
    return stores.sampling.get(name, alias)


@router.put("/{name}/aliases/{alias}/review", dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
def set_sampling(
    name: NamePath, alias: NamePath, settings: ReviewSampling, backends: BackendsDep, stores: StoresDep
) -> AliasSampling:
    """Copy doubtful, random and disputed images of the alias to the review queue; other gateways follow in a second.

    Only requests that name the alias and send an image are sampled, and not those with `X-Tidepool-No-Review: 1`.
    """
    changed = stores.sampling.set(name, alias, settings)
    backends.forget_models()
    return changed


@router.delete("/{name}/aliases/{alias}/review", status_code=204, dependencies=MAY_WRITE, responses=documented(404))
def stop_sampling(name: NamePath, alias: NamePath, backends: BackendsDep, stores: StoresDep) -> None:
    """Turn off the sampling of an alias; the images in the queue stay."""
    stores.sampling.stop(name, alias)
    backends.forget_models()
