"""What the leader of a training does with what rank 0 tells it."""

import threading
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import pytest
import torch

from contract.errors import Cancelled, Invalid, Postponed
from contract.kinds.train import Replicas
from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint
from services.trainer.elastic import channel, lead
from services.trainer.elastic.addresses import Own
from services.trainer.elastic.agent import Gate
from services.trainer.elastic.channel import Began, Caller, Failed, Progressed, Reply, Saved, Server
from services.trainer.elastic.lead import PAUSE_S, Lead, Spread
from services.trainer.elastic.plan import Plan
from services.trainer.elastic.rank import Place
from tests.support.training_data import recipe, terms
from tests.support.training_task import MemoryTask

PLACE = Place("127.0.0.1", 1, Own("127.0.0.1", "lo"), Path("unused"))


class Led:
    """A leader whose store and processes are not started."""

    def __init__(self, folder: Path) -> None:
        self.task = MemoryTask(folder)
        self.steps: list[tuple[float, str]] = []
        self.epochs: list[tuple[int, Spread]] = []
        self.gates: list[Gate] = []
        self.lead = Lead(
            self.task,
            Replicas(max=2),
            Plan(terms(recipe())),
            on_step=lambda progress, message: self.steps.append((progress, message)),
            on_epoch=lambda checkpoint, spread: self.epochs.append((len(checkpoint.epochs), spread)),
            show=self.gates.append,
            contended=self.task.contended,
        )


def saved(epochs: int, size: int) -> Saved:
    """The message after an epoch."""
    all_epochs = tuple(
        Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_accuracy=0.5, seconds=1.0) for n in range(1, epochs + 1)
    )
    weights = {"weight": torch.zeros(1)}
    return Saved(Checkpoint(weights, {}, {}, weights, all_epochs, recipe()).to_bytes(), epochs, size, 250.0)


@pytest.fixture
def led(tmp_path: Path) -> Led:
    return Led(tmp_path)


def test_an_epoch_that_two_rounds_have_sent_is_reported_once(led: Led) -> None:
    for epochs in (1, 1, 2):
        led.lead.answer(saved(epochs, 1))

    assert led.epochs == [(1, Spread(1, 250.0)), (2, Spread(1, 250.0))]


def test_a_ready_seat_may_join_after_an_epoch(led: Led) -> None:
    assert led.lead.answer(saved(1, 1)) == Reply()

    led.task.ready = frozenset({"host:2"})

    assert led.lead.answer(saved(2, 1)) == Reply(pause_s=PAUSE_S)
    assert [gate.open for gate in led.gates] == [True]
    assert led.lead.answer(saved(3, 2)) == Reply()


def test_a_seat_that_did_not_come_is_not_waited_for_after_every_epoch(led: Led) -> None:
    led.task.ready = frozenset({"host:2"})
    assert led.lead.answer(saved(1, 1)).pause_s

    assert not led.lead.answer(saved(2, 1)).pause_s

    led.task.ready = frozenset({"host:3"})
    assert led.lead.answer(saved(3, 1)).pause_s


def test_each_join_and_leave_is_logged_once(led: Led) -> None:
    for size in (1, 2, 2, 1):
        led.lead.answer(Began(size))

    assert led.task.logs == ["a replica joined: 2 now train together", "a replica left: 1 now trains alone"]


def test_the_progress_says_how_many_replicas_train_and_how_fast(led: Led) -> None:
    led.lead.answer(Began(2))
    led.lead.answer(Progressed(0.1, "learning"))
    led.lead.answer(saved(1, 2))
    led.lead.answer(Progressed(0.2, "learning"))

    assert led.steps == [(0.1, "learning · 2 replicas"), (0.2, "learning · 2 replicas, 250 images a second")]


def test_an_error_of_rank_0_ends_the_attempt(led: Led) -> None:
    with pytest.raises(Invalid, match="diverged"):
        led.lead.answer(Failed(Invalid("diverged")))

    with pytest.raises(Invalid, match="diverged"):
        led.lead.check()


def test_a_leader_without_enough_replicas_gives_way_only_to_other_work(
    led: Led, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead, "PATIENCE_S", 0.0)
    led.task.others_wait = True
    led.lead._server = Server(led.lead.answer)
    led.lead._give_way()

    led.lead._form(True)
    with pytest.raises(Postponed):
        led.lead._give_way()

    led.task.others_wait = False
    led.lead._give_way()
    led.task.others_wait = True
    led.lead._form(False)
    led.lead._give_way()
    led.lead._server.close()


def test_a_leader_that_waits_for_replicas_again_hears_a_cancel(led: Led, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled() -> None:
        raise Cancelled("the job was cancelled")

    led.lead._replicas = Replicas(min=2, max=2)
    led.lead.answer(Began(2))
    led.lead.answer(Progressed(0.5, "learning"))
    monkeypatch.setattr(led.task, "check_stop", cancelled)

    with pytest.raises(Cancelled):
        led.lead._run(PLACE, 1)

    assert led.steps[-1] == (0.5, "waiting for 2 replicas of the trainer")


def test_a_process_that_is_killed_while_it_connects_does_not_stop_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [BrokenPipeError(), ConnectionResetError(), EOFError()]

    class Flaky(Listener):
        def accept(self) -> Connection:
            if errors:
                raise errors.pop()
            return super().accept()

    monkeypatch.setattr(channel, "Listener", Flaky)
    server = Server(lambda message: Reply(stop_early=True))

    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(Caller(server.address).ask(Began(1))), daemon=True)
    asking.start()
    asking.join(10)

    assert replies == [Reply(stop_early=True)]
    server.close()


def test_rank_0_is_answered_over_a_socket() -> None:
    server = Server(lambda message: Reply(stop_early=message == Began(3)))

    assert Caller(server.address).ask(Began(3)).stop_early
    assert not Caller(server.address).ask(Began(1)).stop_early
    server.close()
