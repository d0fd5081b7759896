"""The forms of TIDEPOOL_BROKER_URL, and the refusals that mean that a server is no longer the master."""

import ssl
from typing import Any

import pytest
from pydantic import ValidationError

from messaging.redis_address import (
    MasterConnection,
    SecureMasterConnection,
    SecureServerConnection,
    SentinelUrl,
    ServerConnection,
    celery_broker,
    is_demoted,
    redis_client,
)
from messaging.settings import BrokerSettings

HOSTS = "a:1,b,[::1]:3"
FULL = f"sentinel://gate%40way:p%2Fw@{HOSTS}/tide?db=2&sentinel_username=watch&sentinel_password=s%26t"


def test_a_sentinel_url_names_hosts_master_and_both_logins() -> None:
    assert SentinelUrl.parse(FULL) == SentinelUrl(
        hosts=(("a", 1), ("b", 26379), ("::1", 3)),
        master="tide",
        secure=False,
        login={"username": "gate@way", "password": "p/w"},
        db=2,
        sentinel_login={"username": "watch", "password": "s&t"},
    )
    assert SentinelUrl.parse("sentinel://a/tide") == SentinelUrl((("a", 26379),), "tide", False, {}, 0, {})


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://secret@a:1,b:2",
        "sentinel://:secret@/tide",
        "sentinel://:secret@a:port/tide",
        "sentinel://:secret@a/tide?db=x",
        "sentinel://:secret@a/tide?master=x",
        "sentinel://:sec/ret@a/tide",
    ],
)
def test_an_incomplete_sentinel_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BrokerSettings.model_validate({"url": url})

    assert "sec" not in str(refused.value)


def test_celery_gets_every_sentinel_with_the_login_of_redis() -> None:
    broker = celery_broker(FULL)

    assert broker.url == ";".join(f"sentinel://gate%40way:p%2Fw@{host}/2" for host in ("a:1", "b:26379", "[::1]:3"))
    assert broker.options["master_name"] == "tide"
    assert broker.options["sentinel_kwargs"]["password"] == "s&t"
    assert broker.tls is None
    assert celery_broker("redis://:password@a:1/0") == ("redis://:password@a:1/0", {}, None)


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("redis://gateway:pw@a:1/2", ServerConnection),
        ("rediss://gateway:pw@a:1/2", SecureServerConnection),
        ("sentinel://gateway:pw@a:1/tide?db=2", MasterConnection),
        ("sentinels://gateway:pw@a:1/tide?db=2", SecureMasterConnection),
    ],
)
def test_each_scheme_has_its_connection_and_the_same_login(url: str, connection: type) -> None:
    client: Any = redis_client(url, 2.0, 1.0)
    options = client.connection_pool.connection_kwargs

    assert client.connection_pool.connection_class is connection
    assert (options["username"], options["password"], options["db"]) == ("gateway", "pw", 2)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (2.0, 1.0)


def test_timeouts_in_the_url_replace_those_of_the_caller() -> None:
    client: Any = redis_client("redis://a:1/2?socket_timeout=3", 2.0, 1.0)
    options = client.connection_pool.connection_kwargs

    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (3.0, 1.0)


def test_tls_goes_to_the_sentinels_and_to_redis() -> None:
    broker = celery_broker("sentinels://a/tide")

    assert broker.options["sentinel_kwargs"]["ssl"] is True
    assert broker.tls == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


@pytest.mark.parametrize(
    ("reply", "demoted"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("READONLY You can't write against a read only replica. script: 1f, on @user_script:2.", True),
        ("ERR Error running script (call to f_1): @user_script:2: -READONLY You can't write against a read only", True),
        ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", True),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
        ("NOREPLICAS Not enough good replicas to write.", False),
        ("NOSCRIPT No matching script.", False),
    ],
)
def test_only_the_refusals_of_a_replica_break_a_connection(reply: str, demoted: bool) -> None:
    assert is_demoted(reply) is demoted
