"""Creates the jobs that index the dataset versions of older releases, once for each."""

import structlog
from sqlalchemy import select

from contract.datasets import NO_INDEX, DatasetManifest
from contract.jobs import JobKind
from contract.kinds.index import IndexRequest, IndexSpec
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.tables import dataset_versions, jobs

PRIORITY = -50  # after the work that people wait for

log = structlog.get_logger()


def create_index_jobs(database: Database) -> int:
    """Create an index job for each dataset version without an index, a warning why, or an index job; return how many.

    Two processes that do this at once may create two jobs for a version, which does no harm.
    """
    with database.read() as connection:
        specs = connection.execute(select(jobs.c.project, jobs.c.spec).where(jobs.c.kind == JobKind.INDEX))
        created_before = {(project, spec["dataset"]) for project, spec in specs}
        table = dataset_versions.c
        columns = select(table.project, table.name, table.version, table.manifest)
        rows = connection.execute(columns.where(table.manifest["index"].as_string().is_(None)))
        versions = {
            (project, f"{name}@{version}"): DatasetManifest.model_validate(manifest)
            for project, name, version, manifest in rows
        }
    created = [
        version
        for version, manifest in versions.items()
        if version not in created_before and all(warning.code != NO_INDEX for warning in manifest.warnings)
    ]
    for project, reference in created:
        spec = IndexSpec(dataset=reference)
        Jobs(database, project).create(IndexRequest(kind=JobKind.INDEX, spec=spec, priority=PRIORITY))
    if created:
        log.info("dataset versions to index", count=len(created))
    return len(created)
