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


def test_an_api_key_names_itself_and_hides_256_bits() -> None:
    assert re.fullmatch(r"tp_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", new_api_key())
    assert new_api_key() != new_api_key()


def test_the_first_key_stays_and_is_private(home: Home) -> None:
    assert admin_key(home) == admin_key(home) == home.key_file.read_text().strip()
    assert home.key_file.stat().st_mode & 0o777 == 0o600


def test_secrets_stay_and_are_private(home: Home) -> None:
    assert Credentials.of(home) == Credentials.of(home)
    assert home.secrets_file.stat().st_mode & 0o777 == 0o600


def test_every_home_has_its_own(home: Home, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other")
    other.create()
    ours, theirs = Credentials.of(home), Credentials.of(other)
    assert not set(ours.model_dump().values()) & set(theirs.model_dump().values())
