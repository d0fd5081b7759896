"""Each service's own key to the object store, by policies of the buckets, and the proof that it permits no more."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from minio import Minio
from minio.error import S3Error

from contract.artifacts import Bucket
from contract.errors import NotFound, ObjectsUnavailable
from services.storage.access.rights import OBJECTS, Service, bucket_policies
from services.storage.objects import S3Objects, Unfinished
from services.storage.settings import ObjectsSettings
from tests.faults.ha.storage import Storage

FOLDER = "probe/"
LARGE = bytes(6 << 20)  # more than one part of a multipart upload


def own_keys(storage: Storage, endpoint: str) -> Mapping[str, tuple[str, str]]:
    """Return a key for each service, those of the owner if the store has no users; its buckets must exist.

    Raises AssertionError if a key permits more or less than the service does.
    """
    owner = storage.access_key, storage.secret_key
    users = storage.users(f"tidepool-{service}" for service in OBJECTS)
    if not users:
        print("object store: it has no users, so every service has the owner's key", flush=True)
        return dict.fromkeys(OBJECTS, owner)
    for bucket, policy in bucket_policies("tidepool-").items():
        _sdk(endpoint, owner).set_bucket_policy(bucket, json.dumps(policy))
    keys = {service: users[f"tidepool-{service}"] for service in OBJECTS}
    calls = 0
    for service, key in keys.items():
        permitted = {bucket: set(_permitted(endpoint, owner, key, service, bucket)) for bucket in Bucket}
        expected = {bucket: set(_expected(service, bucket)) for bucket in Bucket}
        assert permitted == expected, f"the key of {service} permits {permitted} in place of {expected}"
        assert not (others := _other_permitted(endpoint, key)), f"the key of {service} permits to {others}"
        calls += len(Bucket) * len(CALLS) + len(OTHERS)
    for bucket in Bucket:
        store(endpoint, owner).delete(bucket, FOLDER)
    print(f"object store: {len(keys)} keys permit what their services do and nothing else ({calls} calls)", flush=True)
    return keys


def store(endpoint: str, key: tuple[str, str]) -> S3Objects:
    settings = {"endpoint": endpoint, "access_key": key[0], "secret_key": key[1]}
    return S3Objects(ObjectsSettings.model_validate(settings))


@dataclass(frozen=True)
class _Probe:
    """What a call needs: the store with the key of a service, and with the owner's to prepare the call."""

    own: S3Objects
    owner: S3Objects
    bucket: Bucket

    def put(self) -> None:
        self.own.put(self.bucket, f"{FOLDER}small", b"1")

    def put_large(self) -> None:
        self.own.put(self.bucket, f"{FOLDER}large", LARGE)

    def read(self) -> None:
        self.owner.put(self.bucket, f"{FOLDER}read", b"1")
        self.own.adopt(self.bucket, f"{FOLDER}read")

    def delete(self) -> None:
        self.owner.put(self.bucket, f"{FOLDER}gone", b"1")
        self.own.remove(self.bucket, [f"{FOLDER}gone"])
        with suppress(NotFound):
            self.owner.size(self.bucket, f"{FOLDER}gone")
            raise ObjectsUnavailable("the object store refused, and did not say so")

    def list_objects(self) -> None:
        self.own.prefixes(self.bucket)

    def list_uploads(self) -> None:
        self.own.unfinished(self.bucket)

    def list_parts(self) -> None:
        upload = self.owner.multipart.begin(self.bucket, f"{FOLDER}parts")
        try:
            self.own.multipart.parts(self.bucket, f"{FOLDER}parts", upload)
        finally:
            self.owner.abort(self.bucket, Unfinished(f"{FOLDER}parts", upload, datetime.now(UTC)))

    def abort(self) -> None:
        upload = Unfinished(
            f"{FOLDER}abort", self.owner.multipart.begin(self.bucket, f"{FOLDER}abort"), datetime.now(UTC)
        )
        try:
            self.own.abort(self.bucket, upload)
        finally:
            self.owner.abort(self.bucket, upload)


# The action that permits a call; all actions on the bucket itself are permitted together.
CALLS: Mapping[Callable[[_Probe], None], str] = {
    _Probe.put: "s3:PutObject",
    _Probe.put_large: "s3:PutObject",
    _Probe.read: "s3:GetObject",
    _Probe.delete: "s3:DeleteObject",
    _Probe.list_parts: "s3:ListMultipartUploadParts",
    _Probe.abort: "s3:AbortMultipartUpload",
    _Probe.list_objects: "",
    _Probe.list_uploads: "",
}
OTHERS: Mapping[str, Callable[[Minio], object]] = {
    "make a bucket": lambda sdk: sdk.make_bucket("tidepool-another"),
    "change a policy": lambda sdk: sdk.set_bucket_policy(f"tidepool-{Bucket.JOBS}", "{}"),
    "read a policy": lambda sdk: sdk.get_bucket_policy(f"tidepool-{Bucket.JOBS}"),
    "delete a bucket": lambda sdk: sdk.remove_bucket(f"tidepool-{Bucket.JOBS}"),
}


def _expected(service: Service, bucket: Bucket) -> Iterator[str]:
    """Return the names of the calls that a service's rights permit."""
    actions = OBJECTS[service].get(bucket)
    if actions is not None:
        yield from (call.__name__ for call, action in CALLS.items() if not action or action in actions)


def _permitted(
    endpoint: str, owner: tuple[str, str], key: tuple[str, str], service: Service, bucket: Bucket
) -> Iterator[str]:
    """Return the names of the calls that the store permits."""
    probe = _Probe(store(endpoint, key), store(endpoint, owner), bucket)
    for call in CALLS:
        try:
            call(probe)
        except ObjectsUnavailable as error:
            if "does not answer" in error.message:
                raise AssertionError(f"{call.__name__} in {bucket} as {service}: no answer") from error
            continue
        yield call.__name__


def _other_permitted(endpoint: str, key: tuple[str, str]) -> list[str]:
    permitted = []
    for name, call in OTHERS.items():
        try:
            call(_sdk(endpoint, key))
        except S3Error:
            continue
        permitted.append(name)
    return permitted


def _sdk(endpoint: str, key: tuple[str, str]) -> Minio:
    return Minio(endpoint.removeprefix("http://"), *key, secure=False, region="us-east-1")
