"""The only place that gives each service a key of its own to the object store, where the store can.

MinIO's administration API does it, which Silo has, too; other S3 servers have none, or another one.
"""

import secrets
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
import urllib3
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from pydantic import SecretStr

from contract.artifacts import Bucket
from contract.errors import NotFound, ObjectsUnavailable, TidepoolError
from services.storage.access.rights import OBJECTS, Service, object_policy
from services.storage.objects import S3Objects, mapped_errors
from services.storage.settings import ObjectsSettings

ACCESS, SECRET = "TIDEPOOL_S3_ACCESS_KEY", "TIDEPOOL_S3_SECRET_KEY"
PROBE = "probe/"

log = structlog.get_logger()


class Key(NamedTuple):
    access: str
    secret: str


def hand_out_keys(settings: ObjectsSettings, folder: Path) -> None:
    """Write a key into each service's folder: its own one, or the owner's where a key of its own does not work.

    Safe to repeat, and a key that works stays. `settings` are those of the store's owner. Raises ObjectsUnavailable.
    """
    common = Key(settings.access_key.get_secret_value(), settings.secret_key.get_secret_value())
    for service in OBJECTS:
        own = _own_key(settings, service, folder / service)
        if own is None:
            log.warning("the object store tells services not apart; this one has the owner's key", service=service)
        _write(folder / service, own or common)


def _own_key(settings: ObjectsSettings, service: Service, folder: Path) -> Key | None:
    """A key that was tried, for a user who may do what the service does; None where the store makes no users."""
    access, file = f"tidepool-{service}", folder / SECRET
    mine = (folder / ACCESS).is_file() and (folder / ACCESS).read_text() == access
    key = Key(access, file.read_text() if mine else secrets.token_hex(32))
    admin = _admin(settings)
    try:
        with mapped_errors():
            admin.policy_list()  # asked first, so that no other server takes an order for the upload of an object
            admin.policy_add(access, policy=object_policy(service, settings.bucket_prefix))
            admin.user_add(*key)
            admin.policy_set(access, user=access)
    except MinioAdminException as error:
        if f"Status: {HTTPStatus.SERVICE_UNAVAILABLE}" in str(error):
            raise ObjectsUnavailable("the object store is not ready yet; try again soon") from error
        return None
    return key if _works(settings, service, key) else None


def _works(settings: ObjectsSettings, service: Service, key: Key) -> bool:
    """Whether all that the service does can be done with its key."""
    mine = settings.model_copy(update={"access_key": SecretStr(key.access), "secret_key": SecretStr(key.secret)})
    try:
        for bucket, actions in OBJECTS[service].items():
            _probe(S3Objects(mine), bucket, actions)
    except (TidepoolError, ValueError):  # or the answer is none of S3
        return False
    return True


def _probe(objects: S3Objects, bucket: Bucket, actions: tuple[str, ...]) -> None:
    """Raise ObjectsUnavailable unless all of them may be done."""
    objects.prefixes(bucket, PROBE)
    if "s3:PutObject" in actions:
        objects.put(bucket, f"{PROBE}one", b"1")
    if "s3:GetObject" in actions:
        with suppress(NotFound):
            objects.adopt(bucket, f"{PROBE}one")
    if "s3:DeleteObject" in actions:
        objects.delete(bucket, PROBE)


def _write(folder: Path, key: Key) -> None:
    """Each file whole or not at all; who mounts the folder may read it."""
    for name, content in ((SECRET, key.secret), (ACCESS, key.access)):
        draft = folder / f"{name}.new"
        draft.write_text(content)
        draft.chmod(0o444)
        draft.replace(folder / name)


def _admin(settings: ObjectsSettings) -> MinioAdmin:
    url = urlsplit(settings.endpoint)
    return MinioAdmin(
        endpoint=url.netloc,
        credentials=StaticProvider(settings.access_key.get_secret_value(), settings.secret_key.get_secret_value()),
        region=settings.region,
        secure=url.scheme == "https",
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=30), retries=urllib3.Retry(total=2)),
    )
