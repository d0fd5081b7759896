"""A training that has created its trials, as a search or a cross-validation does."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.access import DEFAULT_PROJECT
from contract.division import NewChild, Waiting
from contract.jobs import Job, JobKind
from contract.kinds.train import TrainRequest, TrainSpec
from contract.kinds.trial import TrialSpec
from services.storage.stores import Stores


def training_with_trials(stores: Stores, spec: TrainSpec, trials: Sequence[Mapping[str, Any]]) -> Job:
    """Submit a training and let it wait for trials with these fields; no other training may be queued."""
    job = stores.of(DEFAULT_PROJECT).jobs.create(TrainRequest(kind=JobKind.TRAIN, spec=spec))
    claim = stores.leases.claim(JobKind.TRAIN, "trainer-1")
    assert claim is not None
    plain = spec.model_copy(update={"search": None, "folds": None})
    children = tuple(
        NewChild(
            number=number,
            spec=TrialSpec(training=plain, study=job.id, number=number, **fields).model_dump(mode="json"),
        )
        for number, fields in enumerate(trials)
    )
    stores.children.wait(claim.lease, Waiting(kind="trial", children=children, seen=0, fraction=0, message=""))
    return job
