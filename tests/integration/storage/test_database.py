"""Transactions, and the mapping of the vendors' errors."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, insert, select, text

from contract.errors import Conflict, DatabaseUnavailable, NotFound, TidepoolError
from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.tables import datasets
from tests.examples import WHEN
from tests.integration.storage.steps import together
from tests.support.servers import Server, free_port, postgres_server

PETS = {"name": "pets", "last_version": 0, "created_at": WHEN}


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(datasets.c.name)).scalars())


def test_a_write_is_visible_to_a_later_read(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(datasets).values(PETS))

    assert names(database) == ["pets"]


def test_an_error_rolls_the_transaction_back_and_is_raised_unchanged(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(insert(datasets).values(PETS))
            raise NotFound("something else is missing")

    with pytest.raises(NotFound, match="something else"):
        write_and_fail()

    assert names(database) == []


def test_a_reader_does_not_see_an_uncommitted_write(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(datasets).values(PETS))
        assert names(database) == []

    assert names(database) == ["pets"]


def test_all_queries_of_a_reader_see_the_same_snapshot(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(select(datasets.c.name)).all()

        with database.write() as writer:
            writer.execute(insert(datasets).values(PETS))

        assert connection.execute(select(datasets.c.name)).all() == before == []


def test_writers_that_read_first_are_serialised(database: Database) -> None:
    def write(index: int) -> None:
        with database.write() as connection:
            connection.execute(select(datasets)).all()
            connection.execute(insert(datasets).values(PETS | {"name": f"pets-{index}"}))

    together(8, write)

    assert len(names(database)) == 8


def test_sqlite_uses_a_write_ahead_log_and_full_sync(tmp_path: Path) -> None:
    with Database.connect(f"sqlite:///{tmp_path}/tidepool.db").read() as connection:
        modes = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]

    assert modes == ["wal", 2]


def test_a_duplicate_row_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(insert(datasets).values([PETS, PETS]))

    assert names(database) == []


def test_a_dangling_foreign_key_is_a_conflict(database: Database) -> None:
    with pytest.raises(Conflict), database.write() as connection:
        connection.execute(text("INSERT INTO outbox (job_id, kind) VALUES ('none', 'train')"))


def test_the_error_of_a_wrong_query_does_not_show_the_query(database: Database) -> None:
    with pytest.raises(TidepoolError) as caught, database.read() as connection:
        connection.execute(text("SELECT secret FROM nowhere"))

    assert "nowhere" not in caught.value.message


def test_times_are_read_with_a_time_zone(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(datasets).values(PETS))
        created_at = connection.execute(select(datasets.c.created_at)).scalar_one()

    assert (created_at, created_at.tzinfo is not None) == (WHEN, True)


def test_a_ping_asks_a_running_database(database: Database) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    database.ping()

    assert statements[-1] == "SELECT 1"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://tidepool@127.0.0.1:{port}/postgres", "sqlite:////{port}/none.db"]
)
def test_an_unreachable_database_is_unavailable(url: str) -> None:
    database = Database.connect(url.format(port=free_port()))

    with pytest.raises(DatabaseUnavailable):
        database.ping()
    with pytest.raises(DatabaseUnavailable):
        migrate(database)


def test_a_stopped_database_is_unavailable(server_folder: Path) -> None:
    # given
    folder = server_folder / "stopped"
    folder.mkdir()
    with postgres_server(folder) as server:
        database = Database.connect(server.url)
        migrate(database)

        # when
        postmaster = (folder / "cluster" / "postmaster.pid").read_text().split()[0]
        os.kill(int(postmaster), signal.SIGINT)
        server.process.wait(10)

        # then
        for transaction in (database.read, database.write):
            with pytest.raises(DatabaseUnavailable), transaction() as connection:
                connection.execute(select(datasets))


def test_a_connection_to_a_server_that_became_a_standby_is_not_used_again(postgres: Server) -> None:
    database = Database.connect(postgres.url.replace("@127.0.0.1", f"@127.0.0.1:{free_port()},127.0.0.1"))
    with database.write() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS public.written (name text)"))
        # given a connection that refuses to write, as those of a standby do
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))

    with pytest.raises(DatabaseUnavailable), database.write() as connection:
        connection.execute(text("INSERT INTO public.written VALUES ('cat')"))

    with database.write() as connection:
        connection.execute(text("INSERT INTO public.written VALUES ('cat')"))
        connection.execute(text("DROP TABLE public.written"))
    database.engine.dispose()


def test_a_commit_that_no_standby_confirms_never_succeeds(postgres: Server) -> None:
    timeout_s, deadline = 0.2, time.monotonic() + 10
    database = Database.connect(f"{postgres.url}?options=-c%20statement_timeout%3D{timeout_s * 1000:.0f}")
    waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with (
        psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as operator,
        ThreadPoolExecutor(1) as pool,
    ):
        operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'lost'")
        operator.execute("SELECT pg_reload_conf()")
        try:
            # given a commit that waits for a standby
            commit = pool.submit(database.confirm_primary)
            while not operator.execute(f"SELECT pid {waiting}").fetchone():
                assert time.monotonic() < deadline
                if commit.done():  # the server has not read its settings yet
                    commit = pool.submit(database.confirm_primary)
                time.sleep(0.05)

            # when the wait is longer than a statement may take
            time.sleep(2 * timeout_s)
            assert not commit.done()

            # and when its connection ends
            operator.execute(f"SELECT pg_terminate_backend(pid) {waiting}")
            with pytest.raises(DatabaseUnavailable):
                commit.result(10)
        finally:
            operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
            operator.execute("SELECT pg_reload_conf()")
    database.engine.dispose()
