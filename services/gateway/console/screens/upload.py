"""/upload: the form for a new version of a dataset; and the sample data set."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from contract.artifacts import Bucket, upload_key
from contract.errors import NotFound
from contract.jobs import JobKind
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import UploadSource
from services.gateway.console.pages import page, redirect
from services.gateway.console.viewer import MAY_CHANGE, ViewerDep
from services.gateway.edge.request_id import current_request_id
from services.storage.catalog.uploads import new_upload_id

router = APIRouter(include_in_schema=False)

SAMPLE = Path(__file__).parents[4] / "examples" / "clothing-sample.zip"


@router.get("/upload", dependencies=MAY_CHANGE)
def upload(request: Request, viewer: ViewerDep, dataset: Annotated[str, Query(max_length=63)] = "") -> Response:
    """The form; a script sends the files to the API, with the session of the page."""
    return page(
        request,
        viewer,
        "upload.html",
        screen="datasets",
        dataset=dataset,
        most_bytes=viewer.backends.settings.max_upload_bytes,
        has_sample=SAMPLE.is_file(),
    )


@router.post("/samples/clothing", dependencies=MAY_CHANGE)
def use_sample(viewer: ViewerDep) -> Response:
    """Upload the sample photos as the dataset `clothing`."""
    if not SAMPLE.is_file():
        raise NotFound("this deployment has no sample data set; upload images of your own")
    stores, objects = viewer.stores, viewer.backends.stores.objects
    stores.jobs.require_room()
    key = upload_key(new_upload_id(), stores.project)
    with SAMPLE.open("rb") as file:
        stored = stores.uploads.add(SAMPLE.name, objects.put_stream(Bucket.UPLOADS, key, file))
    spec = PreprocessSpec(dataset="clothing", source=UploadSource(upload=stored.id))
    job = stores.jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec), current_request_id())
    return redirect(f"/jobs/{job.id}")
