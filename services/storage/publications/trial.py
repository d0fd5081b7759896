"""A trial publishes what its parent needs, and the features that other trials can use."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.trial import TrialOutcome, TrialSpec
from contract.references import Reference
from services.storage.catalog.features import keep_features
from services.storage.jobs.erased import erased_during
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, outcome: TrialOutcome, now: datetime) -> Columns:
    if outcome.features is not None and not erased_during(connection, job):
        dataset = Reference.parse(TrialSpec.model_validate(job.spec).training.dataset).name
        keep_features(connection, job.project, dataset, outcome.features, now)
    return {"result": outcome.model_copy(update={"features": None}).model_dump(mode="json")}


register(Publication("trial", publish))
