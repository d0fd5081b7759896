"""The only place where tests publish a data set or a model as a worker would."""

from contract.datasets import DatasetManifest
from contract.jobs import Job, JobRequest
from contract.training import ModelManifest
from runtime.stores import Stores


def publish(stores: Stores, request: JobRequest, manifest: DatasetManifest | ModelManifest) -> Job:
    """Submit a job, and finish it with what it publishes; no other job of its kind may be waiting."""
    stores.jobs.create(request)
    claim = stores.leases.claim(request.kind, "worker")
    assert claim is not None
    return stores.leases.finish(claim.lease, manifest)
