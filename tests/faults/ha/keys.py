"""Each service's own key to the object store, by policies of the buckets, and the proof that it permits no more."""

import json
from collections.abc import Callable, Mapping

from minio import Minio

from contract.artifacts import Bucket
from contract.errors import ObjectsUnavailable
from services.storage.access.rights import OBJECTS, bucket_policies
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from tests.faults.ha.storage import Storage

KEY = "probe/one"


def own_keys(storage: Storage, endpoint: str) -> Mapping[str, tuple[str, str]]:
    """Return a key for each service, those of the owner if the store has no users; its buckets must exist.

    Raises AssertionError if a key permits more or less than the service does.
    """
    owner = storage.access_key, storage.secret_key
    users = storage.users(f"tidepool-{service}" for service in OBJECTS)
    if not users:
        return dict.fromkeys(OBJECTS, owner)
    client = Minio(endpoint.removeprefix("http://"), *owner, secure=False, region="us-east-1")
    for bucket, policy in bucket_policies("tidepool-").items():
        client.set_bucket_policy(bucket, json.dumps(policy))
    keys = {service: users[f"tidepool-{service}"] for service in OBJECTS}
    for bucket in Bucket:
        store(endpoint, owner).put(bucket, KEY, b"one")
    for service, key in keys.items():
        expected = {
            f"{verb} {bucket}"
            for bucket, actions in OBJECTS[service].items()
            for verb, action in (("put", "s3:PutObject"), ("read", "s3:GetObject"), ("list", ""))
            if not action or action in actions
        }
        assert _permitted(store(endpoint, key), service) == expected, f"the key of {service} is not its own"
    print(f"object store: a key for each of {', '.join(keys)}, and none permits more than its service does", flush=True)
    return keys


def store(endpoint: str, key: tuple[str, str]) -> S3Objects:
    settings = {"endpoint": endpoint, "access_key": key[0], "secret_key": key[1]}
    return S3Objects(ObjectsSettings.model_validate(settings))


def _permitted(objects: S3Objects, service: str) -> set[str]:
    permitted = set()
    for bucket in Bucket:
        acts: dict[str, Callable[[], object]] = {
            "put": lambda bucket=bucket: objects.put(bucket, f"{KEY}-{service}", b"x"),  # type: ignore[misc]
            "read": lambda bucket=bucket: objects.adopt(bucket, KEY),  # type: ignore[misc]
            "list": lambda bucket=bucket: objects.prefixes(bucket),  # type: ignore[misc]
        }
        for verb, act in acts.items():
            try:
                act()
            except ObjectsUnavailable:
                continue
            permitted.add(f"{verb} {bucket}")
    return permitted
