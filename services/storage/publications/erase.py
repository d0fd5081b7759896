"""An erase job replaces everything that has the image, all at once."""

from datetime import datetime

from sqlalchemy import Connection

from contract.datasets import Split
from contract.jobs import Job
from contract.kinds.erase import ErasedVersion, EraseResult, EraseSpec, Erasure
from contract.references import Noun
from services.storage.catalog.erasure import (
    clean_results,
    lock_versions,
    mark_models,
    replace_features,
    replace_output,
    replace_version,
    require_searched,
)
from services.storage.catalog.uploads import replace_upload
from services.storage.jobs.erased import lock_live_jobs, note_erasure
from services.storage.jobs.publication import Columns, Publication, register
from services.storage.people.removal import erase_reviews

LEARNED_FROM = {Split.TRAIN, Split.VAL}  # validation images choose the weights


def publish(connection: Connection, job: Job, erasure: Erasure, now: datetime) -> Columns:
    """Replace what was searched; raises Overtaken if something has changed since, so that the job starts again."""
    sha256, project = EraseSpec.model_validate(job.spec).sha256, job.project
    lock_live_jobs(connection, project)  # first: a job that ends locks its row before it publishes
    lock_versions(connection, project)
    require_searched(connection, project, erasure.searched, erasure.not_searched)
    for version in erasure.versions:
        replace_version(connection, project, version)
    for upload in erasure.uploads:
        replace_upload(connection, project, upload.owner, upload.before, upload.after)
    for output in erasure.outputs:
        replace_output(connection, project, output)
    replace_features(connection, project, erasure.features, erasure.searched.features, now)
    learned = {version.dataset for version in erasure.versions if LEARNED_FROM & set(version.splits)}
    models = mark_models(connection, project, learned, sha256)
    clean_results(connection, project, sha256)
    reviews = erase_reviews(connection, project, sha256)
    datasets: set[tuple[Noun, str]] = {("dataset", version.dataset) for version in erasure.versions}
    uploads: set[tuple[Noun, str]] = {("upload", upload.owner) for upload in erasure.uploads}
    # last, so that it also finds a job that has started meanwhile
    note_erasure(connection, project, sha256, datasets | uploads, {("dataset", name) for name in learned})
    result = EraseResult(
        sha256=sha256,
        versions=tuple(ErasedVersion(dataset=one.dataset, images=one.images) for one in erasure.versions),
        archives=len(erasure.uploads),
        outputs=tuple(output.owner for output in erasure.outputs),
        features=len(erasure.features),
        reviews=reviews,
        models=models,
        rewritten_bytes=erasure.rewritten_bytes,
        kept_originals=erasure.kept_originals,
        not_searched=erasure.not_searched,
    )
    return {"result": result.model_dump(mode="json")}


register(Publication("erase", publish))
