"""The home screen."""

import re

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.catalog import Traffic
from contract.drift import DriftAlarm
from contract.errors import BadArchive, Conflict, TidepoolError
from contract.evaluation import EvaluationMetrics
from services.gateway.dependencies import Backends
from services.storage.jobs.leases import Leases
from services.storage.people.drift import Drift
from services.storage.stores import Stores
from tests.examples import METRICS, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.examples.drift import DRIFT_ALARM
from tests.support.publication import publish

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("model")
async def test_drift_is_judged_again_when_an_alias_changes_and_not_when_the_page_is_refreshed(
    browser: httpx.AsyncClient, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = []

    def alarms(_: Drift) -> tuple[DriftAlarm, ...]:
        judged.append(DRIFT_ALARM)
        return (DRIFT_ALARM,)

    monkeypatch.setattr(Drift, "alarms", alarms)
    pages = [(await browser.get("/")).text for _ in range(3)]

    changed = f"The requests of {DRIFT_ALARM.model}@{DRIFT_ALARM.alias} have changed"
    assert [changed in page for page in pages] == [True, True, True]
    assert len(judged) == 1
    # but after an alias was changed on this gateway, it is
    backends.forget_models()
    await browser.get("/")
    assert len(judged) == 2


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("address", ["/", "/models"])
async def test_after_a_rollback_the_numbers_are_those_of_the_version_that_serves(
    browser: httpx.AsyncClient, stores: Stores, address: str
) -> None:
    for dataset, accuracy in (("pets@1", 0.2), ("pets@4", 0.96)):
        metrics = EvaluationMetrics(val=None, test=METRICS.model_copy(update={"accuracy": accuracy}))
        publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update={"dataset": dataset, "metrics": metrics}))
    models = stores.of(DEFAULT_PROJECT).models

    async def row() -> str:
        """The text of the model's row."""
        page = (await browser.get(address)).text
        (text,) = re.findall("<tr>(?:(?!</tr>).)*/models/pet-cnn.*?</tr>", page, re.DOTALL)
        return " ".join(re.sub("<[^>]*>", " ", text).split())

    models.set_alias("pet-cnn", "production", 3)
    promoted = await row()
    models.set_alias("pet-cnn", "production", 2)
    rolled_back = await row()
    models.split_alias("pet-cnn", "production", Traffic(versions={2: 10, 3: 90}))
    divided = await row()

    assert "pets@4 96.0 %" in promoted
    assert "pets@1 20.0 % 9–91 % v2" in rolled_back
    assert "96.0 %" not in rolled_back
    assert "v3, " in rolled_back  # the newest
    assert "pets@4 96.0 %" in divided


def fail(stores: Stores, error: TidepoolError) -> str:
    """Create a job that fails; return its id."""
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    leases = Leases(stores.database)
    claim = leases.claim("preprocess", "worker")
    assert claim is not None
    leases.fail(claim.lease, error)
    return job.id


async def test_few_failed_jobs_are_listed_and_bad_input_is_not_tried_again(
    browser: httpx.AsyncClient, stores: Stores
) -> None:
    # given five failed imports, of which the files of the newest two are no archives
    jobs = [
        fail(stores, error) for error in [*[Conflict("an image was erased")] * 3, *[BadArchive("it is no archive")] * 2]
    ]
    page = (await browser.get("/")).text

    # then three are listed, with a link to the others, and only the one whose input is right can be tried again
    assert [job for job in jobs if f'href="/jobs/{job}"' in page] == jobs[2:]
    assert [job for job in jobs if f'action="/jobs/{job}/retry"' in page] == [jobs[2]]
    assert '<a href="/jobs?state=failed"><strong>2 more jobs</strong></a>' in page
    assert "5 things need you" in page
