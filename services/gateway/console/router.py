"""All routes of the console."""

from fastapi import APIRouter

from services.gateway.console import assets, live, sign_in
from services.gateway.console.screens import (
    compare,
    datasets,
    drift,
    home,
    image_sets,
    jobs,
    keys,
    models,
    next_version,
    pipelines,
    pools,
    projects,
    review,
    review_queue,
    sampling,
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
for part in (models, version, version_actions, trying, compare, serving, sampling, drift, pipelines, pools, system):
    router.include_router(part.router)
for part in (review, review_queue, next_version):
    router.include_router(part.router)
