"""What the driver of local processes reads, and what it writes."""

import socket
from pathlib import Path

import pytest

from contract.errors import Unavailable
from contract.supervision import DESIRED, REPORTS, Report, State
from services.autoscaler.drivers.driver import Replica
from services.autoscaler.drivers.process import ProcessDriver


class Files:
    """The two files, and the driver between them."""

    def __init__(self, folder: Path) -> None:
        self.replicas_file = folder / "replicas.json"
        self.state_file = folder / "state.json"
        self.driver = ProcessDriver(self.replicas_file, self.state_file)

    def report(self, *states: State, role: str = "inference") -> None:
        """Let the supervisor say how the replicas are, the last of them first."""
        gateway = Report(name="gateway", role="gateway", state=State.READY, restarts=0, pid=7)
        replicas = [
            Report(name=f"{role}-{n}", role=role, index=n, state=state, restarts=0, pid=100 + n)
            for n, state in enumerate(states, start=1)
        ]
        self.state_file.write_bytes(REPORTS.dump_json((gateway, *reversed(replicas))))

    def want(self, **wanted: tuple[int, ...]) -> None:
        self.replicas_file.write_bytes(DESIRED.dump_json(wanted))

    @property
    def wanted(self) -> dict[str, tuple[int, ...]]:
        return dict(DESIRED.validate_json(self.replicas_file.read_bytes()))

    def replica(self, number: int) -> Replica:
        return self.driver.replicas()["inference"][number - 1]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_replica_is_what_is_wanted_of_it(files: Files) -> None:
    files.report(State.READY, State.RESTARTING, State.STOPPED, State.READY, State.DRAINING, State.STOPPED)
    files.want(inference=(1, 2, 3), trainer=())

    found = files.driver.replicas()

    assert [replica.number for replica in found["inference"]] == [1, 2, 3, 4, 5, 6]
    assert [replica.state for replica in found["inference"]] == [
        State.READY,
        State.STARTING,
        State.STARTING,  # as soon as the supervisor looks
        State.DRAINING,  # the same
        State.DRAINING,
        State.STOPPED,
    ]
    assert found["trainer"] == ()


def test_its_worker_is_known_by_its_process(files: Files) -> None:
    files.report(State.READY)
    assert files.replica(1).holds_one_of({f"{socket.gethostname()}:101"})


def test_start_and_stop(files: Files) -> None:
    files.report(State.READY, State.READY, State.STOPPED)
    files.want(inference=(1, 2), trainer=(1,))

    files.driver.start(files.replica(3))
    files.driver.stop(files.replica(1))

    assert files.wanted == {"preprocess": (), "trainer": (1,), "inference": (2, 3)}
    assert sorted(path.name for path in files.replicas_file.parent.iterdir()) == ["replicas.json", "state.json"]


def test_the_last_one_goes(files: Files) -> None:
    files.report(State.READY)
    files.want(inference=(1,))

    files.driver.stop(files.replica(1))

    assert files.wanted["inference"] == ()


def test_all_run_where_nothing_was_ever_wanted(files: Files) -> None:
    files.report(State.READY, State.STARTING, State.READY)

    files.driver.stop(files.replica(2))

    assert files.wanted["inference"] == (1, 3)


def test_before_the_supervisor_has_said_anything(files: Files) -> None:
    with pytest.raises(Unavailable):
        files.driver.replicas()


def test_a_supervisor_that_nobody_understands(files: Files) -> None:
    files.report(State.READY)
    files.state_file.write_text("{")

    with pytest.raises(Unavailable):
        files.driver.replicas()


@pytest.mark.parametrize("text", [None, "", "{", '{"inference": [0]}'])
def test_what_is_wanted_heals_when_nobody_can_read_it(files: Files, text: str | None) -> None:
    # given a supervisor that still follows what it read last
    files.report(State.READY, State.STOPPED, State.DRAINING)
    if text is not None:
        files.replicas_file.write_text(text)

    # then those that run stay wanted, and those that went or go do not count as running
    found = files.driver.replicas()["inference"]
    assert [replica.state for replica in found] == [State.READY, State.STOPPED, State.DRAINING]

    # when one more is started
    files.driver.start(files.replica(2))

    # then the file says so, and of no pool that all shall run
    assert files.wanted == {"preprocess": (), "trainer": (), "inference": (1, 2)}


def test_a_disk_that_cannot_be_written(files: Files) -> None:
    files.report(State.READY)
    files.want(inference=(1,))
    files.replicas_file.with_suffix(".draft").mkdir()

    with pytest.raises(Unavailable):
        files.driver.stop(files.replica(1))
    assert files.wanted == {"inference": (1,)}
