"""The only place where tests publish as a worker would."""

from contract.division import Outcome
from contract.jobs import Job, JobRequest
from services.storage.stores import Stores


def publish(stores: Stores, request: JobRequest, manifest: Outcome) -> Job:
    """Submit a job, and finish it with what it publishes; no other job of its kind may be waiting."""
    stores.jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, manifest)
