"""The home screen."""

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role
from contract.drift import DriftAlarm
from services.gateway.dependencies import Backends
from services.storage.people.drift import Drift
from services.storage.stores import Stores
from tests.examples.drift import DRIFT_ALARM

pytestmark = pytest.mark.anyio

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.usefixtures("model")
async def test_drift_is_judged_again_when_an_alias_changes_and_not_when_the_page_is_refreshed(
    app: FastAPI, backends: Backends, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def alarms(_: Drift) -> tuple[DriftAlarm, ...]:
        judged.append(DRIFT_ALARM)
        return (DRIFT_ALARM,)

    monkeypatch.setattr(Drift, "alarms", alarms)
    cookies = {"tidepool": stores.sessions.create(stores.of(DEFAULT_PROJECT).keys.create("ada", Role.ADMIN).id)}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://tidepool", cookies=cookies) as browser:
        pages = [(await browser.get("/", headers=OWN)).text for _ in range(3)]

        changed = f"The requests of {DRIFT_ALARM.model}@{DRIFT_ALARM.alias} have changed"
        assert [changed in page for page in pages] == [True, True, True]
        assert len(judged) == 1
        # but after an alias was changed on this gateway, it is
        backends.forget_models()
        await browser.get("/", headers=OWN)
        assert len(judged) == 2
