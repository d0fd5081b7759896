"""Batches that go over the Unix sockets of replicas."""

import asyncio
import errno
import os
import socket
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract.inference import Failure
from messaging import local_server, local_socket
from messaging.local_socket import Frames, framed
from tests.support.local_replicas import CAT, DOG, Machine, until

pytestmark = pytest.mark.anyio

LARGE = 3_000_000  # bytes, more than a socket's buffer


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path / ("a long name of a folder " * 8) / "sockets")
    yield machine
    await machine.stop()


@pytest.mark.parametrize("size", [0, 100, LARGE])
async def test_batches_of_any_size_are_answered_one_after_the_other(machine: Machine, size: int) -> None:
    await machine.start("a")

    for _ in range(5):
        await machine.answered(machine.send(file=bytes(size)))

    assert machine.computed_by == ["a"] * 5


async def test_only_this_user_can_open_a_socket(machine: Machine) -> None:
    await machine.start("a")

    (file,) = machine.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(machine.folder.stat().st_mode) == 0o700


async def test_the_replica_that_answered_last_is_asked_first(machine: Machine) -> None:
    await machine.start("a", "b")

    for _ in range(6):
        await machine.answered(machine.send())

    assert len(set(machine.computed_by)) == 1


async def test_idle_replicas_come_first_and_each_takes_one_batch_more_of_the_same_version(machine: Machine) -> None:
    await machine.start("a", "b")
    machine.may_compute.clear()

    sent = [machine.send() for _ in range(4)]

    assert None not in sent
    assert (machine.send(), machine.send(DOG)) == (None, None)
    await until(lambda: sorted(machine.computed_by) == ["a", "b"])
    machine.may_compute.set()
    for batch_id in sent:
        await machine.answered(batch_id)


async def test_a_batch_of_another_version_does_not_wait_behind_a_busy_replica(machine: Machine) -> None:
    await machine.start("a")
    machine.may_compute.clear()
    held = machine.send(CAT)

    assert machine.send(DOG) is None

    machine.may_compute.set()
    await machine.answered(held)
    await machine.answered(machine.send(DOG))


async def test_two_batches_are_computed_in_parallel_if_the_handler_takes_two(machine: Machine) -> None:
    await machine.start("a", at_once=2)
    machine.may_compute.clear()
    sent = [machine.send(), machine.send()]

    await until(lambda: len(machine.computed_by) == 2)

    assert machine.replies == {}  # neither waited for the other
    machine.may_compute.set()
    for batch_id in sent:
        await machine.answered(batch_id)


async def test_a_replica_that_leaves_answers_what_was_sent_and_gets_no_more(machine: Machine) -> None:
    await machine.start("a")
    machine.may_compute.clear()
    sent = [machine.send(), machine.send()]

    machine.servers["a"].leave()
    await until(lambda: not list(machine.folder.iterdir()))
    machine.may_compute.set()

    for batch_id in sent:
        await machine.answered(batch_id)
    await asyncio.to_thread(machine.servers["a"].join)
    await until(lambda: not machine.gateway._connections)
    assert machine.send() is None
    assert machine.lost == []


async def test_the_end_of_a_connection_is_a_lost_replica(machine: Machine) -> None:
    await machine.start("a")
    machine.may_compute.clear()
    held = machine.send()
    assert held is not None
    assert machine.gateway.has(held)
    await until(lambda: machine.computed_by == ["a"])

    machine.servers["a"]._close_all()

    await until(lambda: machine.lost == ["a"])
    assert not machine.gateway.has(held)


async def test_a_replica_that_is_no_longer_present_is_lost_with_its_batches(machine: Machine) -> None:
    await machine.start("a", "b")
    machine.may_compute.clear()
    held = machine.send()
    assert held is not None

    await machine.gateway.update([])

    assert sorted(machine.lost) == ["a", "b"]
    assert not machine.gateway.has(held)
    await machine.gateway.update(["a", "b"])  # they were only frozen
    assert machine.send() is not None


async def test_replicas_of_other_machines_are_left_to_redis(machine: Machine) -> None:
    await machine.gateway.update(["of another machine"])

    assert machine.send() is None


async def test_a_gateway_that_is_gone_leaves_no_connection(machine: Machine) -> None:
    await machine.start("a")
    server = machine.servers["a"]
    await until(lambda: len(server._connections) == 1)
    (connection,) = server._connections.values()
    machine.may_compute.clear()
    machine.send()
    await until(lambda: machine.computed_by == ["a"])

    machine.gateway.close()
    machine.may_compute.set()

    await until(lambda: not server._connections)
    await until(lambda: connection._client.fileno() == -1)
    assert machine.replies == {}


async def test_a_damaged_message_ends_its_connection_only(machine: Machine) -> None:
    await machine.start("a")
    stranger = local_socket.connect(machine.folder, "a")
    assert stranger is not None
    stranger.setblocking(True)

    stranger.sendall(framed({"not": "a batch"}))

    assert await asyncio.to_thread(stranger.recv, 1) == b""
    stranger.close()
    await machine.answered(machine.send())


class Exhausted:
    """A listener whose process has no free file descriptors until `freed`."""

    def __init__(self, listener: socket.socket) -> None:
        self.freed = False
        self.attempts = 0
        self._listener = listener

    def accept(self) -> tuple[socket.socket, object]:
        self.attempts += 1
        if not self.freed:
            raise OSError(errno.EMFILE, "too many open files")
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> list[Exhausted]:
    """The listeners of servers, which cannot accept connections."""
    listeners: list[Exhausted] = []

    def listen(folder: Path, name: str) -> Exhausted:
        listeners.append(Exhausted(local_socket.listen(folder, name)))
        return listeners[-1]

    monkeypatch.setattr(local_server, "listen", listen)
    return listeners


async def test_without_file_descriptors_gateways_are_accepted_later_and_no_loop_spins(
    machine: Machine, exhausted: list[Exhausted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "ACCEPT_RETRY_S", 0.2)
    began = time.monotonic()
    await machine.start("a")
    held = machine.send()
    (listener,) = exhausted

    await until(lambda: listener.attempts >= 3)
    assert time.monotonic() - began >= 0.4

    listener.freed = True
    await machine.answered(held)


async def test_a_replica_can_leave_while_it_accepts_no_gateways(
    machine: Machine, exhausted: list[Exhausted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "ACCEPT_RETRY_S", 60.0)
    await machine.start("a")
    await until(lambda: exhausted[0].attempts == 1)

    machine.servers["a"].leave()

    await asyncio.to_thread(machine.servers["a"].join)
    assert exhausted[0].fileno() == -1
    assert exhausted[0].attempts == 1


async def test_a_question_past_its_deadline_is_not_computed(machine: Machine) -> None:
    await machine.start("a")

    reply = await machine.reply_to(machine.send(deadline=-1.0))

    (answer,) = reply.answers
    assert isinstance(answer, Failure)
    assert answer.code == "deadline_exceeded"
    assert machine.computed_by == []


async def test_sockets_of_killed_replicas_are_deleted_and_others_stay(machine: Machine) -> None:
    await machine.start("a")
    machine.folder.joinpath("killed").touch()
    unused = local_socket.listen(machine.folder, "killed")
    unused.close()
    assert len(list(machine.folder.glob("*.sock"))) == 2

    await machine.start("b")

    assert len(list(machine.folder.glob("*.sock"))) == 2
    await machine.answered(machine.send())
    assert local_socket.connect(machine.folder, "killed") is None


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_messages_are_complete_however_they_are_cut(step: int) -> None:
    messages = [os.urandom(size) for size in (0, 1, 5, 300, 0, 40)]
    stream = b"".join(bytes(framed(message)) for message in messages)
    frames = Frames()

    received = [
        bytes(message) for start in range(0, len(stream), step) for message in frames.feed(stream[start : start + step])
    ]

    assert received == [bytes(framed(message)[4:]) for message in messages]
