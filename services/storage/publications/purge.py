"""A purge job deletes the row of its project, in the transaction that ends it; raises Conflict if something is left."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.purge import Purged, PurgeResult
from services.storage.access.project_rows import remove_project
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, _job: Job, purged: Purged, _now: datetime) -> Columns:
    remove_project(connection, purged.project)
    return {"result": PurgeResult(project=purged.project).model_dump(mode="json")}


register(Publication("purge", publish))
