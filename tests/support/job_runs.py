"""Runs a job's attempts in this process, on real rows."""

from multiprocessing import Pipe
from pathlib import Path

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.errors import TidepoolError
from contract.jobs import Job, JobKind, JobRequest
from services.storage.database import Database
from services.storage.jobs.claims import Claim
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from worker.attempt import Attempt, conclude, settle
from worker.task import Handler


def memory_stores() -> Stores:
    return Stores(Database.in_memory(), MemoryObjects())


def uploaded(stores: Stores, file: Path, key: str = "upload-1") -> str:
    """Store a file as a complete upload and return its id."""
    return stores.of(DEFAULT_PROJECT).uploads.add(file.name, stores.objects.put(Bucket.UPLOADS, key, file)).id


def run(stores: Stores, request: JobRequest, handler: Handler, folder: Path) -> tuple[Job, list[Claim]]:
    """Create a job and run its attempts; returns the job and the claims of its attempts."""
    job = stores.of(DEFAULT_PROJECT).jobs.create(request)
    claims = run_due(stores, request.kind, handler, folder)
    return stores.of(DEFAULT_PROJECT).jobs.get(job.id), claims


def run_due(stores: Stores, kind: JobKind, handler: Handler, folder: Path) -> list[Claim]:
    """Run attempts of a kind until none is due; returns their claims."""
    claims: list[Claim] = []
    while (claim := stores.leases.claim(kind, "replica")) is not None:
        claims.append(claim)
        scratch = folder / f"attempt-{len(claims)}"
        scratch.mkdir(parents=True)
        attempt(stores, claim, handler, scratch)
    return claims


def attempt(stores: Stores, claim: Claim, handler: Handler, folder: Path) -> None:
    """Run an attempt and write its outcome."""
    worker_end, attempt_end = Pipe()
    with worker_end, attempt_end:
        try:
            conclude(stores, claim.lease, handler(Attempt(claim, stores, folder, attempt_end)))
        except TidepoolError as error:
            settle(stores, claim.lease, error)
