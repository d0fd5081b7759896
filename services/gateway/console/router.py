"""All routes of the console."""

from fastapi import APIRouter

from services.gateway.console import assets, live, sign_in
from services.gateway.console.screens import datasets, home, image_sets, jobs

router = APIRouter()
for part in (assets, live, sign_in, home, jobs, datasets, image_sets):
    router.include_router(part.router)
