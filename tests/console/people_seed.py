"""Fills a site with drift of an alias, its sampling, and a pipeline with runs that ended in different ways."""

from datetime import timedelta

import numpy as np
import uuid_utils
from sqlalchemy import insert, select, update

from contract.drift import DriftCounts, DriftReference
from contract.evaluation import Share
from contract.pipelines import ClassChange, GateDecision, PipelineRequest, RunState, When
from contract.sampling import ReviewSampling
from media.drift.bins import SCALES
from media.drift.counting import bin_counts
from services.storage import tables
from tests.console.site import Site

DAYS = 12
PIPELINE = "clothing-retraining"


def counts(classes: tuple[str, ...], images: int, darker: float = 0.0, seed: int = 0) -> DriftCounts:
    """Return what a version counted: images of random classes, darker by this many steps of 256."""
    chance = np.random.default_rng(seed)
    shares = np.linspace(1.4, 0.6, len(classes))
    numbers = chance.multinomial(images, shares / shares.sum())
    scores = np.clip(chance.beta(8, 1.6, images) - darker / 500, 0, 1)
    values = {
        "confidence": scores,
        "brightness": chance.normal(150 - darker, 28, images),
        "sharpness": chance.normal(-4.0, 1.1, images),
        "width": chance.normal(8.6, 0.4, images),
        "height": chance.normal(9.0, 0.4, images),
    }
    bins = {name: bin_counts(name, values[name]) for name in SCALES}
    by_class = dict(zip(classes, map(int, numbers), strict=True))
    return DriftCounts(classes=by_class, confidence_sum=float(scores.sum()), **bins)


def add_drift(site: Site, model: str, version: int, classes: tuple[str, ...], darker: float) -> None:
    """Give a version a reference and some days of requests, the last four of which are darker."""
    reference = DriftReference(accuracy=0.89, **dict(counts(classes, 600, seed=99)))
    table = tables.model_versions
    own = (table.c.project == "default") & (table.c.name == model) & (table.c.version == version)
    with site.stores.database.write() as connection:
        manifest = connection.execute(select(table.c.manifest).where(own)).scalar_one()
        changed = manifest | {"drift_reference": reference.model_dump(mode="json")}
        connection.execute(update(table).where(own).values(manifest=changed))
    today = site.stores.database.now().date()
    for number in range(DAYS):
        late = darker if number < 4 else 0.0
        day = counts(classes, 700 + 40 * (number % 5), late, seed=number)
        site.own.drift.add(model, version, today - timedelta(days=number), day)


def add_pipeline(site: Site) -> None:
    """Add a pipeline whose candidates were rejected, promoted, and have passed."""
    when = When(cron="0 3 * * *", labels=200, drift=True)
    site.own.pipelines.create(
        PipelineRequest(name=PIPELINE, model="clothing", dataset="clothing", when=when, promote=False)
    )
    add_run(site, RunState.REJECTED, 9, "hat fell from 91.2 % to 79.4 %, and no class may fall by more than 5 %")
    add_run(site, RunState.UNCHANGED, 4, "nothing was reviewed since the last run, so there is nothing to learn from")
    add_run(site, RunState.PASSED, 0, "clothing@2 is better by 2.9 %, with 95 % confidence by at least 0.8 %")


def add_run(site: Site, state: RunState, days: int, reason: str) -> None:
    """Add a run that ended some days ago."""
    now = site.stores.database.now() - timedelta(days=days, minutes=40)
    judged = state in {RunState.REJECTED, RunState.PASSED}
    values = {
        "id": str(uuid_utils.uuid7()),
        "project": "default",
        "pipeline": PIPELINE,
        "state": state,
        "step": "evaluate" if judged else "revise",
        "trigger": "labels",
        "reason": reason,
        "notes": [],
        "labels": 214,
        "champion": "clothing@1",
        "dataset": "clothing@2" if judged else None,
        "candidate": "clothing@2" if judged else None,
        "gate": decision(passed=state is RunState.PASSED, reason=reason).model_dump(mode="json") if judged else None,
        "started_at": now,
        "ended_at": now + timedelta(minutes=23),
    }
    with site.stores.database.write() as connection:
        connection.execute(insert(tables.pipeline_runs).values(values))


def decision(*, passed: bool, reason: str) -> GateDecision:
    """Return a decision of the gate."""

    def change(label: str, accuracy: Share, champion: Share) -> ClassChange:
        return ClassChange(
            label=label, images=34, accuracy=accuracy, champion_accuracy=champion, better=1, worse=5, chance=0.11
        )

    return GateDecision(
        passed=passed,
        reason=reason,
        images=372,
        accuracy=0.903,
        champion_accuracy=0.874,
        better=21,
        worse=10,
        at_least=0.008 if passed else -0.004,
        chance=0.018 if passed else 0.31,
        classes=(change("hat", 0.79 if not passed else 0.91, 0.91), change("dress", 0.9, 0.84)),
    )


def add_people(site: Site, classes: tuple[str, ...]) -> None:
    """Add the sampling, the drift and the pipeline of clothing@production."""
    site.own.sampling.set("clothing", "production", ReviewSampling())
    add_drift(site, "clothing", 2, classes, darker=34.0)
    add_pipeline(site)
