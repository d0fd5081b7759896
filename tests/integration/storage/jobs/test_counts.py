"""The triggers that count queued jobs."""

from sqlalchemy import Connection, delete, func, insert, select, text, update

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.counts import FOLD_FROM, fold, queued_by_kind, queued_jobs
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.tables import install_counting, job_counts, jobs
from services.storage.tables.counting import TRIGGERS
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, divided, together


def truth(connection: Connection) -> dict[str, int]:
    counts = select(jobs.c.kind, func.count()).where(jobs.c.state == JobState.QUEUED).group_by(jobs.c.kind)
    return {kind: int(number) for kind, number in connection.execute(counts)}


def assert_counted(database: Database) -> None:
    with database.read() as connection:
        counts = {kind: number for kind, number in queued_by_kind(connection).items() if number}
        assert counts == truth(connection)


def test_every_change_is_counted(database: Database, leases: Leases) -> None:
    divided(database, 5)
    store = Jobs(database, DEFAULT_PROJECT)
    made = [store.create(request) for request in (PREPROCESS_REQUEST, TRAIN_REQUEST, TRAIN_REQUEST)]
    assert_counted(database)
    leases.release(claimed(leases).lease)
    claimed(leases, JobKind.TRAIN)
    store.cancel(made[0].id)
    assert_counted(database)

    with database.read() as connection:
        assert queued_jobs(connection) == queued_jobs(connection, DEFAULT_PROJECT) == 1
        assert queued_jobs(connection, "shop") == 0

    # also those by statements of others, on many rows
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.parent_id.is_not(None)).values(state=JobState.QUEUED))
    assert_counted(database)
    with database.write() as connection:
        connection.execute(delete(jobs))
    assert_counted(database)


def test_a_transaction_that_is_rolled_back_is_not_counted(database: Database) -> None:
    with database.write() as connection:
        Jobs(database, DEFAULT_PROJECT).accept_internal(connection, TRAIN_REQUEST, None)
        connection.get_transaction().rollback()  # type: ignore[union-attr]
    assert_counted(database)


def test_folding_keeps_the_counts_while_jobs_arrive(database: Database) -> None:
    store = Jobs(database, DEFAULT_PROJECT)
    for _ in range(FOLD_FROM + 1):
        store.create(TRAIN_REQUEST)

    def act(number: int) -> None:
        if number % 2:
            store.create(PREPROCESS_REQUEST)
        else:
            with database.write() as connection:
                fold(connection)

    together(6, act)

    assert_counted(database)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(job_counts)).scalar_one() <= 5
        assert queued_by_kind(connection) == {"train": FOLD_FROM + 1, "preprocess": 3}


def test_missing_triggers_are_created_and_the_rows_counted_anew(database: Database) -> None:
    # given a table that a migration has copied, on SQLite without its triggers
    Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST)
    on = " ON jobs" if database.engine.dialect.name == "postgresql" else ""
    with database.write() as connection:
        connection.execute(text(f"DROP TRIGGER {TRIGGERS[1]}{on}"))
        connection.execute(update(jobs).values(state=JobState.CANCELLED))
        connection.execute(insert(job_counts).values(project="shop", kind="train", part=False, number=7))

    for _ in range(2):
        with database.write() as connection:
            install_counting(connection)

    assert_counted(database)
    Jobs(database, DEFAULT_PROJECT).create(TRAIN_REQUEST)
    assert_counted(database)
