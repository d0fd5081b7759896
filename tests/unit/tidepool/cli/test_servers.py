"""The file of logins"""

from pathlib import Path

import pytest

from tidepool.cli.servers import Server, Servers, load_servers, login_file, normalized, save_servers
from tidepool.errors import UserFacingError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("pool.example.com", "https://pool.example.com"),
        ("HTTPS://Pool.Example.com/", "https://pool.example.com"),
        ("https://pool.example.com/v1/", "https://pool.example.com"),
        ("https://example.com/tidepool/", "https://example.com/tidepool"),
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://10.0.0.5:8080", "http://10.0.0.5:8080"),
        ("10.0.0.5", "https://10.0.0.5"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, url: str) -> None:
    assert normalized(text) == url


@pytest.mark.parametrize(
    "text", ["", "https://", "ftp://pool", "http://host:port", "http://me:secret@host", "http://[::1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserFacingError, match="is not the address of a server"):
        normalized(text)


def test_the_file_is_private_and_holds_several_servers() -> None:
    assert load_servers() == Servers()

    servers = Servers().with_server("https://a", Server(key="tp_a")).with_server("https://b", Server(key="tp_b"))
    save_servers(servers)

    assert login_file().stat().st_mode & 0o777 == 0o600
    assert load_servers() == servers
    assert load_servers().current == "https://b"
    assert load_servers().without("https://b").current == "https://a"
    assert load_servers().without("https://a").current == "https://b"


def test_the_file_is_in_the_folder_of_xdg(tmp_path: Path) -> None:
    assert login_file() == tmp_path / "config" / "tidepool" / "servers.json"


@pytest.mark.parametrize("text", ["", "{", '{"servers": 3}', "\x00"])
def test_a_damaged_file_is_named(text: str) -> None:
    save_servers(Servers())
    login_file().write_text(text)

    with pytest.raises(UserFacingError, match=r"servers\.json cannot be read"):
        load_servers()
