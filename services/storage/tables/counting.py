"""Triggers that count the queued rows of the table of jobs, so that reading the counts takes the same time always.

Each change of a row from or to `queued` adds a row to `job_counts` in the same transaction. Nothing is updated, so
transactions never wait for each other; `services.storage.jobs.counts` sums the rows up. They are triggers because
replicas of an older release, and statements that change many rows, must be counted, too.
"""

from sqlalchemy import Connection, MetaData, event, text

from services.storage.tables.columns import metadata

TRIGGERS = ("jobs_queued_insert", "jobs_queued_update", "jobs_queued_delete")
_ON = {
    "jobs_queued_insert": ("INSERT", "NEW.state = 'queued'"),
    "jobs_queued_update": ("UPDATE OF state", "OLD.state <> NEW.state AND 'queued' IN (OLD.state, NEW.state)"),
    "jobs_queued_delete": ("DELETE", "OLD.state = 'queued'"),
}
_CHANGE = (
    "INSERT INTO job_counts (project, kind, part, number) SELECT {row}.project, {row}.kind, "
    "{row}.parent_id IS NOT NULL, {number} WHERE {row}.state = 'queued'"
)
# As the owner of the tables: a service's role may lack rights to a table that is newer than its grants.
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION count_queued_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN {_CHANGE.format(row="OLD", number=-1)}; END IF;
    IF TG_OP <> 'DELETE' THEN {_CHANGE.format(row="NEW", number=1)}; END IF;
    RETURN NULL;
END $$
"""


def install(connection: Connection) -> None:
    """Create the triggers if one is missing, and count the queued rows; writers wait meanwhile.

    On SQLite a migration that copies the table of jobs drops them.
    """
    postgresql = connection.dialect.name == "postgresql"
    catalog = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'jobs'::regclass"
    master = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if set(connection.execute(text(catalog if postgresql else master)).scalars()) >= set(TRIGGERS):
        return
    remove(connection)
    if postgresql:
        connection.execute(text(_FUNCTION))
    for name, (operation, condition) in _ON.items():
        action = "EXECUTE FUNCTION count_queued_jobs()" if postgresql else _sqlite_action(operation)
        trigger = f"CREATE TRIGGER {name} AFTER {operation} ON jobs FOR EACH ROW WHEN ({condition}) {action}"
        connection.execute(text(trigger))
    connection.execute(text("DELETE FROM job_counts"))
    counts = "SELECT project, kind, parent_id IS NOT NULL, count(*) FROM jobs WHERE state = 'queued' GROUP BY 1, 2, 3"
    connection.execute(text(f"INSERT INTO job_counts (project, kind, part, number) {counts}"))


def remove(connection: Connection) -> None:
    """Drop the triggers."""
    postgresql = connection.dialect.name == "postgresql"
    for name in TRIGGERS:
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}{' ON jobs' if postgresql else ''}"))
    if postgresql:
        connection.execute(text("DROP FUNCTION IF EXISTS count_queued_jobs()"))


def _sqlite_action(operation: str) -> str:
    changes = [_CHANGE.format(row="OLD", number=-1)] if operation != "INSERT" else []
    changes += [_CHANGE.format(row="NEW", number=1)] if operation != "DELETE" else []
    return f"BEGIN {'; '.join(changes)}; END"


@event.listens_for(metadata, "after_create")
def _install_with_the_tables(_: MetaData, connection: Connection, **__: object) -> None:
    """Create the triggers where the tables are made without migrations."""
    install(connection)
