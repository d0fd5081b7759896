"""A running embedded Redis: it requires its password, keeps its data and shows no secret."""

from urllib.parse import urlsplit

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.integration.tidepool.tiny_stack import plan
from tidepool.stack.broker import broker, broker_url
from tidepool.stack.credentials import Credentials
from tidepool.stack.pidfile import PidFile
from tidepool.stack.ports import free_ports
from tidepool.stack.probe import answers
from tidepool.stack.stack import Stack


@pytest.fixture
def url(stack: Stack) -> str:
    stack.home.create()
    (port,) = free_ports(1)
    credentials = Credentials.of(stack.home)
    stack.up(lambda: plan(broker(stack.home, credentials, port, stage=0)))
    return broker_url(credentials, port)


def test_a_missing_or_wrong_password_is_refused(url: str) -> None:
    target = urlsplit(url)
    once = Retry(NoBackoff(), 0)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host=str(target.hostname), port=int(target.port or 0), retry=once).ping()
    assert not answers(f"redis://:wrong@{target.hostname}:{target.port}/0")


def test_it_never_evicts_and_listens_on_loopback(url: str) -> None:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_data_survives_a_restart_of_the_stack(url: str, stack: Stack) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("what", "kept")
    stack.down()
    credentials, port = Credentials.of(stack.home), int(urlsplit(url).port or 0)
    stack.up(lambda: plan(broker(stack.home, credentials, port, stage=0)))
    with redis.Redis.from_url(url) as client:
        assert client.get("what") == b"kept"


def test_the_password_is_not_in_the_process_list(url: str, stack: Stack) -> None:
    process = PidFile(stack.home.pid("redis")).process()
    assert process
    assert urlsplit(url).password not in " ".join(process.cmdline())
    assert (stack.home.data / "redis" / "redis.conf").stat().st_mode & 0o777 == 0o600


def test_the_socket_is_on_loopback_only(url: str, stack: Stack) -> None:
    process = PidFile(stack.home.pid("redis")).process()
    assert process
    listening = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
