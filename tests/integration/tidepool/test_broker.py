"""A running embedded Redis: each service has a user with a password, it keeps its data and shows no secret."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from messaging.redis_users import REDIS_USERS
from tests.integration.tidepool.tiny_stack import plan
from tidepool.errors import StackFailed
from tidepool.stack.broker import broker, broker_url, redis_server
from tidepool.stack.components import Component
from tidepool.stack.credentials import Credentials
from tidepool.stack.files import write_private
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.ports import free_ports
from tidepool.stack.probe import answers
from tidepool.stack.stack import Stack


def component(home: Home, port: int) -> Component:
    return broker(home, Credentials.of(home), port, stage=0)


@pytest.fixture
def port(stack: Stack) -> int:
    """The port of a running Redis."""
    stack.home.create()
    (port,) = free_ports(1)
    stack.up(lambda: plan(component(stack.home, port)))
    return port


@pytest.fixture
def url(stack: Stack, port: int) -> str:
    """The URL of the user `sweep`."""
    return broker_url(Credentials.of(stack.home), "sweep", port)


def test_a_missing_or_wrong_password_is_refused(url: str) -> None:
    target = urlsplit(url)
    once = Retry(NoBackoff(), 0)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host=str(target.hostname), port=int(target.port or 0), retry=once).ping()
    assert not answers(f"redis://sweep:wrong@{target.hostname}:{target.port}/0")


def test_every_user_can_connect_and_none_can_configure(stack: Stack, port: int) -> None:
    credentials = Credentials.of(stack.home)
    for user in REDIS_USERS:
        assert answers(broker_url(credentials, user, port))
        with redis.Redis.from_url(broker_url(credentials, user, port)) as client:
            for command in ("CONFIG GET *", "FLUSHALL", "ACL LIST", "KEYS *", "SHUTDOWN"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())


def test_it_never_evicts_and_listens_on_loopback(stack: Stack, port: int) -> None:
    config = (stack.home.data / "redis" / "redis.conf").read_text()
    assert {
        "maxmemory 512mb",
        "maxmemory-policy noeviction",
        "appendonly yes",
        "bind 127.0.0.1",
        f"port {port}",
    } <= set(config.splitlines())


def test_data_survives_a_restart_of_the_stack(url: str, stack: Stack, port: int) -> None:
    with redis.Redis.from_url(url) as client:
        client.lpush("trainer", "kept")
    stack.down()
    stack.up(lambda: plan(component(stack.home, port)))
    with redis.Redis.from_url(url) as client:
        assert client.llen("trainer") == 1


def test_the_home_of_a_release_with_one_password_starts_with_users(stack: Stack) -> None:
    # given the files of an older release
    stack.home.create()
    older = '{"redis_password":"shared","s3_access_key":"access","s3_secret_key":"secret"}'
    write_private(stack.home.secrets_file, older)
    folder = stack.home.data / "redis"
    folder.mkdir(parents=True)
    (folder / "redis.conf").write_text("requirepass shared\n")

    # when it starts with this release
    (port,) = free_ports(1)
    stack.up(lambda: plan(component(stack.home, port)))

    # then the services have users, and the password of that release is of no use
    assert answers(broker_url(Credentials.of(stack.home), "gateway", port))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port, password="shared", retry=Retry(NoBackoff(), 0)).ping()


def test_no_password_is_in_the_process_list_or_in_redis_files(stack: Stack, port: int) -> None:
    process = PidFile(stack.home.pid("redis")).process()
    assert process
    files = [stack.home.data / "redis" / name for name in ("redis.conf", "users.acl")]
    readable = " ".join([*process.cmdline(), *(file.read_text() for file in files)])
    assert not [password for password in Credentials.of(stack.home).redis_passwords.values() if password in readable]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


def test_an_old_redis_server_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=00000000:0 malloc=jemalloc'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    executable, release = redis_server()

    assert executable != old
    assert release >= (6, 2)


def test_without_a_redis_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(StackFailed, match=re.escape("redis-server 6.2 is missing")):
        redis_server()


@pytest.mark.usefixtures("port")
def test_the_socket_is_on_loopback_only(stack: Stack) -> None:
    process = PidFile(stack.home.pid("redis")).process()
    assert process
    listening = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
