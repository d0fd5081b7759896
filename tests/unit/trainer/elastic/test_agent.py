"""The store of a training, and what its leader says in it."""

import psutil
import pytest

from services.trainer.elastic.agent import Gate, connect, host


def test_the_store_listens_on_the_leaders_address_alone() -> None:
    store = host("127.0.0.1")

    listening = [c.laddr for c in psutil.net_connections() if c.laddr and c.laddr.port == store.port and not c.raddr]

    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_seats_read_whether_they_may_join() -> None:
    store = host("127.0.0.1")
    Gate("job:1:0", open=True).write(store)

    seen = Gate.read(connect("127.0.0.1", store.port))

    assert seen == Gate("job:1:0", open=True)


def test_a_leader_that_is_gone_is_an_error() -> None:
    store = host("127.0.0.1")
    seat = connect("127.0.0.1", store.port)
    del store

    with pytest.raises(RuntimeError):
        Gate.read(seat)
