from scaling.simulation.replicas import Replicas
from scaling.simulation.steps import Steps

SECOND = Steps(seconds=1.0, count=100, requests_per_step=1, steps_per_request=1)
THIRD = Steps(seconds=1.0, count=100, requests_per_step=1, steps_per_request=3)
SHORT = Steps(seconds=1.0, count=100, requests_per_step=50, steps_per_request=1)


def test_a_new_replica_is_ready_after_its_start_up_time() -> None:
    replicas = Replicas(0, SECOND, startup_s=2.0)
    replicas.follow(3, step=0)
    assert (replicas.held, replicas.ready) == (3, 0)
    room = []
    for step in range(1, 5):
        room.append(replicas.pass_step(step))
        replicas.begin(0)
    assert room == [0, 0, 3, 3]


def test_a_long_request_occupies_its_replica() -> None:
    replicas = Replicas(2, THIRD, startup_s=0)
    room = []
    for step in range(5):
        room.append(replicas.pass_step(step))
        replicas.begin(2 if step == 0 else 0)
    assert room == [2, 0, 0, 2, 2]


def test_short_requests_share_a_step() -> None:
    replicas = Replicas(2, SHORT, startup_s=0)
    assert (replicas.pass_step(0), replicas.seats) == (100, 100)
    replicas.begin(51)
    replicas.follow(0, step=0)
    assert replicas.held == 2


def test_starting_replicas_stop_first_and_busy_ones_drain() -> None:
    replicas = Replicas(2, THIRD, startup_s=5)
    replicas.pass_step(0)
    replicas.begin(2)
    replicas.follow(4, step=0)
    replicas.follow(3, step=0)
    assert (replicas.ready, replicas.starting) == (2, 1)
    replicas.follow(1, step=0)
    assert (replicas.ready, replicas.starting, replicas.held) == (1, 0, 2)
    assert replicas.pass_step(1) == -1
