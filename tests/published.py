"""The only place where tests publish as a worker would."""

from contract.access import DEFAULT_PROJECT
from contract.jobs import Job, JobRequest
from services.storage.jobs.publication import Manifest
from services.storage.stores import Stores


def publish(stores: Stores, request: JobRequest, manifest: Manifest) -> Job:
    """Submit a job, and finish it with what it publishes; no other job of its kind may be waiting."""
    stores.of(DEFAULT_PROJECT).jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, manifest)
