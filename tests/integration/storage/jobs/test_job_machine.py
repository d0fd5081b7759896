"""The state machine of the unit tests on a SQLite file and on PostgreSQL: the same rules, the same model."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import select

from contract.jobs import JobState
from services.storage import tables
from services.storage.access.projects import Projects
from services.storage.database import Database
from tests.unit.storage.jobs.test_job_machine import JobMachine


def test_jobs_keep_their_guarantees_under_any_sequence_of_operations(database: Database) -> None:
    ends: set[JobState] = set()

    class Machine(JobMachine):
        def opened(self) -> Database:
            with database.write() as connection:
                for table in reversed(tables.metadata.sorted_tables):
                    connection.execute(table.delete())
            Projects(database).ensure_default()
            return Database(database.engine, self.clock)

        def teardown(self) -> None:
            super().teardown()
            with database.read() as connection:
                ends.update(map(JobState, connection.execute(select(tables.jobs.c.state)).scalars()))

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )

    assert ends == {state for state in JobState if state.terminal}
