"""The driver for local processes reads and writes the supervisor's files."""

import socket
from pathlib import Path

import pytest

from contract.errors import Unavailable
from contract.supervision import DESIRED, REPORTS, ComponentReport, State
from services.autoscaler.drivers.driver import Replica
from services.autoscaler.drivers.process import ProcessDriver


class Files:
    """The two files and the driver that uses them."""

    def __init__(self, folder: Path) -> None:
        self.replicas_file = folder / "replicas.json"
        self.state_file = folder / "state.json"
        self.driver = ProcessDriver(self.replicas_file, self.state_file)

    def report(self, *states: State, role: str = "inference") -> None:
        """ComponentReport the replicas' states as the supervisor, in descending order."""
        gateway = ComponentReport(name="gateway", role="gateway", state=State.READY, restarts=0, pid=7)
        replicas = [
            ComponentReport(name=f"{role}-{n}", role=role, index=n, state=state, restarts=0, pid=100 + n)
            for n, state in enumerate(states, start=1)
        ]
        self.state_file.write_bytes(REPORTS.dump_json((gateway, *reversed(replicas))))

    def write_desired(self, **desired: tuple[int, ...]) -> None:
        self.replicas_file.write_bytes(DESIRED.dump_json(desired))

    @property
    def desired(self) -> dict[str, tuple[int, ...]]:
        return dict(DESIRED.validate_json(self.replicas_file.read_bytes()))

    def replica(self, number: int) -> Replica:
        return self.driver.replicas()["inference"][number - 1]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_replica_has_the_state_that_it_is_about_to_have(files: Files) -> None:
    files.report(State.READY, State.RESTARTING, State.STOPPED, State.READY, State.DRAINING, State.STOPPED)
    files.write_desired(inference=(1, 2, 3), trainer=())

    replicas = files.driver.replicas()

    assert [replica.number for replica in replicas["inference"]] == [1, 2, 3, 4, 5, 6]
    assert [replica.state for replica in replicas["inference"]] == [
        State.READY,
        State.STARTING,
        State.STARTING,  # once the supervisor reads the file
        State.DRAINING,  # likewise
        State.DRAINING,
        State.STOPPED,
    ]
    assert replicas["trainer"] == ()


def test_the_worker_is_matched_by_its_process(files: Files) -> None:
    files.report(State.READY)
    assert files.replica(1).is_one_of({f"{socket.gethostname()}:101"})


def test_start_and_stop_change_the_desired_replicas(files: Files) -> None:
    files.report(State.READY, State.READY, State.STOPPED)
    files.write_desired(inference=(1, 2), trainer=(1,))

    files.driver.start(files.replica(3))
    files.driver.stop(files.replica(1))

    assert files.desired == {"preprocess": (), "trainer": (1,), "inference": (2, 3)}
    assert sorted(path.name for path in files.replicas_file.parent.iterdir()) == ["replicas.json", "state.json"]


def test_the_last_replica_can_be_stopped(files: Files) -> None:
    files.report(State.READY)
    files.write_desired(inference=(1,))

    files.driver.stop(files.replica(1))

    assert files.desired["inference"] == ()


def test_without_a_file_the_running_replicas_are_desired(files: Files) -> None:
    files.report(State.READY, State.STARTING, State.READY)

    files.driver.stop(files.replica(2))

    assert files.desired["inference"] == (1, 3)


def test_the_driver_is_unavailable_before_the_first_report(files: Files) -> None:
    with pytest.raises(Unavailable):
        files.driver.replicas()


def test_the_driver_is_unavailable_if_the_reports_cannot_be_parsed(files: Files) -> None:
    files.report(State.READY)
    files.state_file.write_text("{")

    with pytest.raises(Unavailable):
        files.driver.replicas()


@pytest.mark.parametrize("text", [None, "", "{", '{"inference": [0]}'])
def test_an_unreadable_file_is_replaced_from_the_reports(files: Files, text: str | None) -> None:
    # given a supervisor that still follows the last version it could read
    files.report(State.READY, State.STOPPED, State.DRAINING)
    if text is not None:
        files.replicas_file.write_text(text)

    # then running replicas stay desired, and stopped or draining ones do not
    replicas = files.driver.replicas()["inference"]
    assert [replica.state for replica in replicas] == [State.READY, State.STOPPED, State.DRAINING]

    # when another replica is started
    files.driver.start(files.replica(2))

    # then the file names it, and names every pool
    assert files.desired == {"preprocess": (), "trainer": (), "inference": (1, 2)}


def test_the_driver_is_unavailable_if_the_file_cannot_be_written(files: Files) -> None:
    files.report(State.READY)
    files.write_desired(inference=(1,))
    files.replicas_file.with_suffix(".draft").mkdir()

    with pytest.raises(Unavailable):
        files.driver.stop(files.replica(1))
    assert files.desired == {"inference": (1,)}
