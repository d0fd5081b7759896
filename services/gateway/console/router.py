"""All routes of the console."""

from fastapi import APIRouter

from services.gateway.console import assets, live, sign_in
from services.gateway.console.screens import (
    compare,
    datasets,
    home,
    image_sets,
    jobs,
    keys,
    models,
    pools,
    projects,
    review,
    review_queue,
    serving,
    system,
    train,
    trying,
    upload,
    usage,
    version,
    version_actions,
)

router = APIRouter()
for part in (assets, live, sign_in, home, jobs, datasets, image_sets, upload, train, keys, projects, usage):
    router.include_router(part.router)
for part in (models, version, version_actions, trying, compare, serving, pools, system, review, review_queue):
    router.include_router(part.router)
