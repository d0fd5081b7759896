"""The home screen."""

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role
from contract.drift import DriftAlarm
from contract.errors import BadArchive, Conflict, TidepoolError
from services.gateway.dependencies import Backends
from services.storage.jobs.leases import Leases
from services.storage.people.drift import Drift
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
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


def fail(stores: Stores, error: TidepoolError) -> str:
    """Create a job that fails; return its id."""
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    leases = Leases(stores.database)
    claim = leases.claim("preprocess", "worker")
    assert claim is not None
    leases.fail(claim.lease, error)
    return job.id


async def test_few_failed_jobs_are_listed_and_bad_input_is_not_tried_again(app: FastAPI, stores: Stores) -> None:
    # given five failed imports, of which the files of the newest two are no archives
    jobs = [
        fail(stores, error) for error in [*[Conflict("an image was erased")] * 3, *[BadArchive("it is no archive")] * 2]
    ]
    cookies = {"tidepool": stores.sessions.create(stores.of(DEFAULT_PROJECT).keys.create("ada", Role.ADMIN).id)}
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="https://tidepool", cookies=cookies) as browser:
        page = (await browser.get("/", headers=OWN)).text

    # then three are listed, with a link to the others, and only the one whose input is right can be tried again
    assert [job for job in jobs if f'href="/jobs/{job}"' in page] == jobs[2:]
    assert [job for job in jobs if f'action="/jobs/{job}/retry"' in page] == [jobs[2]]
    assert '<a href="/jobs?state=failed"><strong>2 more jobs</strong></a>' in page
    assert "5 things need you" in page
