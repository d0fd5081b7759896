"""Give each service its own key to the object store, if the store supports it.

Uses MinIO's administration API, which Silo also has; other S3 servers have none, or a different one.
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
from services.storage.object_errors import mapped_errors
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings

ACCESS, SECRET = "TIDEPOOL_S3_ACCESS_KEY", "TIDEPOOL_S3_SECRET_KEY"
PROBE = "probe/"

log = structlog.get_logger()


class AccessKey(NamedTuple):
    """A user's name at the object store, and the user's password."""

    access: str
    secret: str


def hand_out_keys(settings: ObjectsSettings, folder: Path) -> None:
    """Write a key into each service's folder: the service's own key, or the owner's if that does not work.

    Safe to repeat; keys that work are kept. `settings` are those of the store's owner. Raises ObjectsUnavailable.
    """
    common = AccessKey(settings.access_key.get_secret_value(), settings.secret_key.get_secret_value())
    for service in OBJECTS:
        own = _own_key(settings, service, folder / service)
        if own is None:
            log.warning("the object store has no users of its own; the service gets the owner's key", service=service)
        _write(folder / service, own or common)


def _own_key(settings: ObjectsSettings, service: Service, folder: Path) -> AccessKey | None:
    """Create a user with the service's policy, and test its key; None if the store cannot create users."""
    access, file = f"tidepool-{service}", folder / SECRET
    exists = (folder / ACCESS).is_file() and (folder / ACCESS).read_text() == access
    key = AccessKey(access, file.read_text() if exists else secrets.token_hex(32))
    admin = _admin(settings)
    try:
        with mapped_errors():
            admin.policy_list()  # start with a read: another S3 server would treat the requests below as object uploads
            admin.policy_add(access, policy=object_policy(service, settings.bucket_prefix))
            admin.user_add(*key)
            admin.policy_set(access, user=access)
    except MinioAdminException as error:
        if f"Status: {HTTPStatus.SERVICE_UNAVAILABLE}" in str(error):
            raise ObjectsUnavailable("the object store is not ready yet; try again soon") from error
        return None
    return key if _works(settings, service, key) else None


def _works(settings: ObjectsSettings, service: Service, key: AccessKey) -> bool:
    """Return whether the key permits everything that the service does."""
    own = settings.model_copy(update={"access_key": SecretStr(key.access), "secret_key": SecretStr(key.secret)})
    try:
        for bucket, actions in OBJECTS[service].items():
            _probe(S3Objects(own), bucket, actions)
    except (TidepoolError, ValueError):  # ValueError: the response is not S3's
        return False
    return True


def _probe(objects: S3Objects, bucket: Bucket, actions: tuple[str, ...]) -> None:
    """Raise ObjectsUnavailable unless all actions are permitted."""
    objects.prefixes(bucket, PROBE)
    if "s3:PutObject" in actions:
        objects.put(bucket, f"{PROBE}one", b"1")
    if "s3:GetObject" in actions:
        with suppress(NotFound):
            objects.adopt(bucket, f"{PROBE}one")
    if "s3:DeleteObject" in actions:
        objects.delete(bucket, PROBE)


def _write(folder: Path, key: AccessKey) -> None:
    """Write each file atomically, readable by everyone who mounts the folder."""
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
