import socket

import pytest

from tidepool.errors import StackFailed
from tidepool.stack.ports import HOST, RANGE, free_ports, require_free


def test_ports_are_distinct_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        require_free(port)


def test_ports_are_outside_the_ephemeral_range() -> None:
    assert set(free_ports(20)) <= set(RANGE)


def test_the_excluded_port_is_never_picked() -> None:
    assert RANGE[7] not in free_ports(len(RANGE) // 2, exclude=RANGE[7])


def test_the_error_for_a_port_in_use_says_what_to_do() -> None:
    with socket.create_server((HOST, 0)) as server, pytest.raises(StackFailed, match="TIDEPOOL_PORT") as caught:
        require_free(server.getsockname()[1])
    assert str(server) not in str(caught.value)


def test_a_port_in_time_wait_is_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)):
            accepted, _ = server.accept()
            accepted.close()
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind((HOST, port))  # what a server without SO_REUSEADDR would see

    require_free(port)
