"""A browser for the tests of the console's screens."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role
from services.storage.stores import Stores

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def browser(app: FastAPI, stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in."""
    cookies = {"tidepool": stores.sessions.create(stores.of(DEFAULT_PROJECT).keys.create("ada", Role.ADMIN).id)}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://tidepool", cookies=cookies, headers=OWN
    ) as client:
        yield client
