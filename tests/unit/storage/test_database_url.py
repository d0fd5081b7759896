"""Database URLs with one server and with several."""

from typing import Any

import pytest

from services.storage.database_url import connect_options, database_url, last_first


def connection(text: str) -> dict[str, Any]:
    url = database_url(text)
    return url.get_dialect()().create_connect_args(url)[1]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://me:p%40w@a:1,b/name?sslmode=require",
        "postgresql+psycopg://me:p%40w@/name?host=a:1&host=b:5432&sslmode=require",
    ],
)
def test_of_several_servers_the_primary_is_used(text: str) -> None:
    assert connection(text) == {
        "user": "me",
        "password": "p@w",
        "dbname": "name",
        "host": "a,b",
        "port": "1,5432",
        "sslmode": "require",
        "target_session_attrs": "read-write",
    }


def test_what_the_url_says_is_kept() -> None:
    url = database_url("postgresql+psycopg://me@a,b/name?target_session_attrs=any&connect_timeout=9&keepalives_idle=60")

    assert url.query["target_session_attrs"] == "any"
    assert not {"connect_timeout", "keepalives_idle"} & connect_options(url).keys()
    assert connect_options(url)["tcp_user_timeout"] == 10_000


def test_one_server_is_used_whatever_it_is() -> None:
    assert connection("postgresql+psycopg://me@a:1/name") == {"user": "me", "dbname": "name", "host": "a", "port": 1}
    assert database_url("sqlite:////folder/file").database == "/folder/file"


def test_the_server_of_the_last_connection_is_tried_first() -> None:
    options = {"host": "a,b,b", "port": "1,2,3"}

    assert last_first(options, ("b", "3")) == {"host": "b,a,b", "port": "3,1,2"}
    assert last_first(options, ("c", "1")) == {}
    assert last_first({"host": "a", "port": 1}, ("a", "1")) == {"host": "a", "port": "1"}
