"""Runs backbone jobs on files, and returns what they published."""

from pathlib import Path

from contract.access import DEFAULT_PROJECT
from contract.backbones import BackboneManifest
from contract.jobs import Job, JobKind, JobState
from contract.kinds.backbone import BackboneRequest, BackboneSpec
from contract.references import Reference, UploadSource
from services.storage.stores import Stores
from services.trainer.backbones.bring import bring_backbone
from tests.support.job_runs import run, uploaded

VERSION = Reference(name="mine", version=1)


def brought(stores: Stores, folder: Path, file: Path, **metadata: object) -> Job:
    spec = BackboneSpec.model_validate(
        {"backbone": "mine", "source": UploadSource(upload=uploaded(stores, file))} | metadata
    )
    job, attempts = run(stores, BackboneRequest(kind=JobKind.BACKBONE, spec=spec), bring_backbone, folder)
    assert len(attempts) == 1
    return job


def manifest_of(stores: Stores, job: Job) -> BackboneManifest:
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result == {"backbone": "mine@1", "status": "ready"}
    return stores.of(DEFAULT_PROJECT).backbones.manifest(VERSION)[1]


def rejected(stores: Stores, job: Job) -> str:
    """Return the reason of a rejected version."""
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "bad_model"), job.error
    version = stores.of(DEFAULT_PROJECT).backbones.get(VERSION)
    assert version.status == "rejected"
    return version.reason or ""
