import re
from pathlib import Path

import pytest

from tidepool.stack.credentials import Credentials, admin_key, new_api_key
from tidepool.stack.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.create()
    return home


def test_an_api_key_has_a_name_and_256_random_bits() -> None:
    assert re.fullmatch(r"tp_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", new_api_key())
    assert new_api_key() != new_api_key()


def test_the_admin_key_is_created_once_and_is_private(home: Home) -> None:
    assert admin_key(home) == admin_key(home) == home.key_file.read_text().strip()
    assert home.key_file.stat().st_mode & 0o777 == 0o600


def test_secrets_are_created_once_and_are_private(home: Home) -> None:
    assert Credentials.of(home) == Credentials.of(home)
    assert home.secrets_file.stat().st_mode & 0o777 == 0o600


def test_two_homes_share_no_secret(home: Home, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other")
    other.create()
    secrets, other_secrets = (set(Credentials.of(one).model_dump().values()) for one in (home, other))
    assert not secrets & other_secrets
