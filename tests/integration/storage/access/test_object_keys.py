"""The services' keys to the object store: their own if the server supports users, otherwise the owner's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.artifacts import Bucket
from contract.errors import ObjectsUnavailable
from services.storage.access.object_keys import ACCESS, SECRET, AccessKey, hand_out_keys
from services.storage.access.rights import OBJECTS, object_policy
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from tests.integration.storage.access.fake_minio import FakeMinio
from tests.support.servers import S3Server

OWNER = AccessKey("owner", "owners-secret")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for service in OBJECTS:
        (tmp_path / service).mkdir()
    return tmp_path


@pytest.fixture
def minio() -> Iterator[FakeMinio]:
    minio = FakeMinio(OWNER.secret)
    with minio.served():
        yield minio


def settings(url: str, key: AccessKey = OWNER) -> ObjectsSettings:
    return ObjectsSettings(endpoint=url, access_key=SecretStr(key.access), secret_key=SecretStr(key.secret))


def handed_out(folder: Path) -> dict[str, AccessKey]:
    return {
        service: AccessKey((folder / service / ACCESS).read_text(), (folder / service / SECRET).read_text())
        for service in OBJECTS
        if (folder / service / ACCESS).exists()
    }


def test_each_service_has_a_key_and_a_policy_of_its_own(minio: FakeMinio, folder: Path) -> None:
    hand_out_keys(settings(minio.url), folder)

    keys = handed_out(folder)
    assert {service: key.access for service, key in keys.items()} == {one: f"tidepool-{one}" for one in OBJECTS}
    assert minio.users == dict(keys.values())
    assert len(set(minio.users.values())) == len(OBJECTS)
    for service in OBJECTS:
        assert minio.policies[minio.policy_of[f"tidepool-{service}"]] == object_policy(service, "tidepool-")
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {ACCESS, SECRET}


def test_a_working_key_is_kept(minio: FakeMinio, folder: Path) -> None:
    hand_out_keys(settings(minio.url), folder)
    before = handed_out(folder)

    hand_out_keys(settings(minio.url), folder)

    assert handed_out(folder) == before
    assert minio.users == dict(before.values())


def test_without_users_every_service_gets_the_owners_key(s3: S3Server, folder: Path) -> None:
    owner = AccessKey(s3.access_key, s3.secret_key)
    S3Objects(settings(s3.url, owner)).make_buckets()

    hand_out_keys(settings(s3.url, owner), folder)

    assert handed_out(folder) == dict.fromkeys(OBJECTS, owner)
    S3Objects(settings(s3.url, handed_out(folder)["trainer"])).put(Bucket.JOBS, "one", b"1")


def test_a_server_that_ignores_new_users_gives_the_owners_key(minio: FakeMinio, folder: Path) -> None:
    minio.deaf = True

    hand_out_keys(settings(minio.url), folder)

    assert handed_out(folder) == dict.fromkeys(OBJECTS, OWNER)


def test_a_key_with_missing_rights_is_not_handed_out(minio: FakeMinio, folder: Path) -> None:
    minio.read_only = True

    hand_out_keys(settings(minio.url), folder)

    own = {service for service, key in handed_out(folder).items() if key != OWNER}
    assert own == {"sweep"}  # which does not write


def test_services_get_their_own_keys_once_the_server_supports_users(minio: FakeMinio, folder: Path) -> None:
    minio.status = 501
    hand_out_keys(settings(minio.url), folder)
    assert handed_out(folder) == dict.fromkeys(OBJECTS, OWNER)

    minio.status = 200
    hand_out_keys(settings(minio.url), folder)

    assert minio.users == dict(handed_out(folder).values())


def test_a_server_that_is_not_ready_is_unavailable(minio: FakeMinio, folder: Path) -> None:
    minio.status = 503

    with pytest.raises(ObjectsUnavailable):
        hand_out_keys(settings(minio.url), folder)
    assert handed_out(folder) == {}


def test_an_unreachable_server_is_unavailable(folder: Path) -> None:
    with pytest.raises(ObjectsUnavailable):
        hand_out_keys(settings("http://127.0.0.1:1"), folder)
    assert handed_out(folder) == {}
