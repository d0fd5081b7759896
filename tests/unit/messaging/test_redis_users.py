"""The ACL file for several releases of Redis."""

import hashlib

import pytest

from messaging.redis_users import LATEST, OLDEST, REDIS_USERS, RIGHTS, Release, acl_file, password_hashes

HASHES = password_hashes({user: user for user in REDIS_USERS})


def lines(release: Release = LATEST) -> dict[str, list[str]]:
    """Return the rules of each user."""
    return {user: rules for _, user, *rules in map(str.split, acl_file(HASHES, release).splitlines())}


def test_clients_without_a_name_may_do_nothing() -> None:
    assert lines()["default"] == ["reset", "resetchannels", "off"]


def test_each_user_has_its_password_as_a_hash() -> None:
    for user in REDIS_USERS:
        password_hash = hashlib.sha256(user.encode()).hexdigest()
        assert lines()[user][:4] == ["reset", "resetchannels", "on", f"#{password_hash}"]


@pytest.mark.parametrize("release", [OLDEST, (7, 0), LATEST])
def test_nothing_is_granted_by_category_or_to_all_keys_or_channels(release: Release) -> None:
    rules = {rule for user in REDIS_USERS for rule in lines(release)[user]}

    assert not {rule for rule in rules if rule.startswith(("+@", "&", "allkeys", "all"))}
    assert not rules & {"~*", "%R~*", "%W~*", "nopass"}


def test_older_releases_cannot_permit_only_reading_or_writing() -> None:
    assert "%R~tidepool:trainer:cordoned" in lines((7, 0))["trainer"]
    assert "~tidepool:trainer:cordoned" in lines(OLDEST)["trainer"]
    assert not [rule for user in REDIS_USERS for rule in lines(OLDEST)[user] if rule.startswith("%")]


def test_a_release_is_not_given_commands_that_it_does_not_know() -> None:
    assert "+client|setinfo" in lines((7, 2))["sweep"]
    assert "+client|setinfo" not in lines((7, 0))["sweep"]


def test_all_rights_but_those_are_in_the_file_of_every_release() -> None:
    for release in (OLDEST, LATEST):
        for user, rights in RIGHTS.items():
            rules = set(lines(release)[user])
            assert {f"+{command}" for command in rights.commands - {"client|setinfo"}} <= rules
            assert {f"~{key}" for key in rights.keys} <= rules
