"""All routes of the console."""

from fastapi import APIRouter

from services.gateway.console import assets, live, sign_in
from services.gateway.console.screens import home, models, trying, version, version_actions

router = APIRouter()
for part in (assets, live, sign_in, home, models, version, version_actions, trying):
    router.include_router(part.router)
