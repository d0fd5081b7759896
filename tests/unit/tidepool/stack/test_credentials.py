import json
import re
from pathlib import Path

import pytest

from messaging.redis_users import REDIS_USERS
from tidepool.stack.credentials import Credentials, admin_key, new_api_key
from tidepool.stack.files import write_private
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

    assert not _secrets(Credentials.of(home)) & _secrets(Credentials.of(other))


def test_every_user_of_the_broker_has_a_password_of_its_own(home: Home) -> None:
    passwords = Credentials.of(home).redis_passwords

    assert passwords.keys() == set(REDIS_USERS)
    assert len(set(passwords.values())) == len(REDIS_USERS)


def test_the_home_of_a_release_with_one_password_keeps_its_other_secrets(home: Home) -> None:
    older = {"redis_password": "shared", "s3_access_key": "access", "s3_secret_key": "secret"}
    write_private(home.secrets_file, json.dumps(older))

    credentials = Credentials.of(home)

    assert (credentials.s3_access_key, credentials.s3_secret_key) == ("access", "secret")
    assert "shared" not in home.secrets_file.read_text()
    assert credentials.redis_passwords.keys() == set(REDIS_USERS)
    assert Credentials.of(home) == credentials


def test_a_user_that_a_release_adds_gets_a_password_and_the_others_keep_theirs(home: Home) -> None:
    before = Credentials.of(home)
    stored = before.model_dump()
    del stored["redis_passwords"]["probe"]
    write_private(home.secrets_file, json.dumps(stored))

    after = Credentials.of(home)

    changed = {user for user in REDIS_USERS if after.redis_passwords[user] != before.redis_passwords[user]}
    assert changed == {"probe"}


def _secrets(credentials: Credentials) -> set[str]:
    return {credentials.s3_access_key, credentials.s3_secret_key, *credentials.redis_passwords.values()}
