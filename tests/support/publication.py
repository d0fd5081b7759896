"""Publishes a dataset or model version as a worker does."""

from contract.access import DEFAULT_PROJECT
from contract.division import Outcome
from contract.jobs import Job, JobRequest
from services.storage.stores import Stores


def publish(stores: Stores, request: JobRequest, outcome: Outcome, project: str = DEFAULT_PROJECT) -> Job:
    """Create a job and finish it with an outcome; no other job of its kind may be queued."""
    stores.of(project).jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, outcome)
