"""The screen of a search: its trials, the history of their values, and what decides."""

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role
from contract.errors import Invalid
from contract.jobs import Job, JobKind
from contract.kinds.train import TrainSpec
from contract.search import Fold
from services.gateway.console.trials import trials_of
from services.storage.screens.trials import TrialScreens
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, STUDY, TRIAL_OUTCOME
from tests.support.trials import training_with_trials

pytestmark = pytest.mark.anyio

OVER = {"optimizer.lr": [0.1, 0.01, 0.001, 0.5]}
SEARCH = {"trials": 8, "over": OVER, "objective": "val.accuracy"}


def training(stores: Stores, count: int, **fields: object) -> Job:
    """Submit a training that has created this many children."""
    spec = TrainSpec.model_validate({"dataset": "pets@1", "model": "net"} | fields)
    trials = [
        {
            "parameters": {"optimizer.lr": OVER["optimizer.lr"][number]} if spec.search else {},
            "fold": Fold(number=number, of=count - 1) if spec.folds and number < count - 1 else None,
        }
        for number in range(count)
    ]
    return training_with_trials(stores, spec, trials)


def end(stores: Stores, *values: float | None) -> None:
    """End the next trials with these values; None fails one."""
    for value in values:
        claim = stores.leases.claim(JobKind.TRIAL, "replica")
        assert claim is not None
        if value is None:
            stores.leases.fail(claim.lease, Invalid("the training diverged"))
        else:
            stores.leases.finish(claim.lease, TRIAL_OUTCOME.model_copy(update={"value": value, "pruned": value < 0.2}))


def test_the_history_has_a_dot_for_each_value_and_the_best_so_far(stores: Stores) -> None:
    job = training(stores, 4, search=SEARCH)
    end(stores, 0.5, None, 0.1, 0.75)
    rows = TrialScreens(stores.database, DEFAULT_PROJECT).of(job.id)

    trials = trials_of(job.spec, {}, rows)

    assert trials is not None
    assert [(row.value, row.pruned, row.error_message) for row in trials.rows] == [
        (0.5, False, None),
        (None, False, "the training diverged"),
        (0.1, True, None),
        (0.75, False, None),
    ]
    assert (trials.best, trials.total, trials.names) == (3, 8, ("optimizer.lr",))
    assert [(dot.number, dot.best) for dot in trials.history.dots] == [(0, False), (2, False), (3, True)]
    assert trials.history.dots[1].y > trials.history.dots[0].y > trials.history.dots[2].y
    assert trials.history.line.count("V") == 2
    assert (trials.history.low, trials.history.high) == (0.1, 0.75)
    assert TrialScreens(stores.database, "another").of(job.id) == ()


def test_a_finished_search_has_the_importance_and_the_published_trial() -> None:
    spec = {"search": SEARCH}

    trials = trials_of(spec, {"study": STUDY.model_dump(mode="json")}, ())

    assert trials is not None
    assert (trials.best, trials.members, trials.importance) == (3, (), (("optimizer.lr", 1.0),))
    assert trials_of({"folds": 5}, {}, ()) is not None
    assert trials_of({"dataset": "pets@1"}, {}, ()) is None


async def pages(app: FastAPI, stores: Stores, *paths: str) -> list[str]:
    """Sign in, and return the pages of jobs with these paths."""
    secret = stores.keys.create("ada", Role.INSTANCE_ADMIN).secret
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:8080", headers={"Accept": "text/html"}
    ) as browser:
        own = {"Sec-Fetch-Site": "same-origin"}
        await browser.post("/sign-in", data={"key": secret, "next": "/jobs"}, headers=own)
        return [(await browser.get(f"/jobs{path}")).text for path in paths]


async def test_the_page_of_a_search_shows_its_trials_and_that_of_a_trial_its_search(
    app: FastAPI, stores: Stores
) -> None:
    job = training(stores, 4, search=SEARCH)
    folded = training(stores, 3, folds=2)
    end(stores, 0.5, None, 0.75)
    claim = stores.leases.claim(JobKind.TRIAL, "replica")
    assert claim is not None

    page, folds, trial, listed = await pages(app, stores, f"/{job.id}", f"/{folded.id}", f"/{claim.job.id}", "")

    assert "val.accuracy by trial" in page
    assert "3 of 8 ended" in page
    assert "trial 2: val.accuracy 0.75" in page
    assert "The training diverged." in page
    assert page.count('<span class="tag good">best</span>') == 1
    assert "fold 2 of 2" in folds
    assert f'href="/jobs/{job.id}"' in trial
    assert claim.job.id not in listed


async def test_the_page_of_a_search_marks_the_trials_of_an_ensemble(app: FastAPI, stores: Stores) -> None:
    job = training(stores, 3, search=SEARCH | {"ensemble": 2})
    end(stores, 0.5, 0.6, 0.75)
    claim = stores.leases.claim(JobKind.TRAIN, "replica")
    assert claim is not None
    study = STUDY.model_copy(update={"best": 2, "members": (2, 0)})
    stores.leases.finish(claim.lease, MODEL_MANIFEST.model_copy(update={"study": study}))

    (page,) = await pages(app, stores, f"/{job.id}")

    rows = page.partition("<tbody>")[2].split("</tr>")[:3]
    assert ["in the model" in row for row in rows] == [True, False, True]
    assert ['<span class="tag good">best</span>' in row for row in rows] == [False, False, True]
