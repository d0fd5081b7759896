"""Publishes a dataset or model version as a worker does."""

from contract.jobs import Job, JobRequest
from services.storage.jobs.publication import Manifest
from services.storage.stores import Stores


def publish(stores: Stores, request: JobRequest, manifest: Manifest) -> Job:
    """Create a job and finish it with a manifest; no other job of its kind may be queued."""
    stores.jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, manifest)
