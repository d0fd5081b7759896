"""The policies of the services, tested on moto's server, which enforces policies.

Deletion is not tested: moto checks the deletion of many objects against the bucket's policy, MinIO against the user's.
"""

import json
from collections.abc import Callable, Iterator, Mapping

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from contract.artifacts import Bucket
from contract.errors import ObjectsUnavailable
from services.storage.access.rights import OBJECTS, Service, object_policy
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings

KEY = "job/attempts/1/part"
LARGE = bytes(6 << 20)  # more than one part of a multipart upload
ALLOWED: Mapping[Service, set[str]] = {
    "gateway": {"put uploads", "put large uploads", "read uploads", "read jobs", "list uploads", "list jobs"},
    "sweep": {"list uploads", "list jobs"},
    "preprocess": {"read uploads", "read jobs", "put jobs", "put large jobs", "list uploads", "list jobs"},
    "trainer": {"read uploads", "read jobs", "put jobs", "put large jobs", "list uploads", "list jobs"},
    "inference": {"read uploads", "read jobs", "put jobs", "put large jobs", "list uploads", "list jobs"},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def objects_of(url: str) -> Callable[[Service], S3Objects]:
    """The object store with the key of a service."""
    httpx.post(f"{url}/moto-api/reset-auth", content=str(10**6))  # requests that are not authorised
    _objects(url, "owner", "owner").make_buckets()
    iam = boto3.client(
        "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    keys = {service: _key_of(iam, service) for service in OBJECTS}
    for bucket in Bucket:
        _objects(url, "owner", "owner").put(bucket, KEY, b"there")
    httpx.post(f"{url}/moto-api/reset-auth", content="0")
    return lambda service: _objects(url, *keys[service])


def _key_of(iam: object, service: Service) -> tuple[str, str]:
    iam.create_user(UserName=service)  # type: ignore[attr-defined]
    policy = json.dumps(object_policy(service, "tidepool-"))
    iam.put_user_policy(UserName=service, PolicyName="own", PolicyDocument=policy)  # type: ignore[attr-defined]
    made = iam.create_access_key(UserName=service)["AccessKey"]  # type: ignore[attr-defined]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _objects(url: str, access: str, secret: str) -> S3Objects:
    return S3Objects(ObjectsSettings(endpoint=url, access_key=SecretStr(access), secret_key=SecretStr(secret)))


@pytest.mark.parametrize("service", ALLOWED)
def test_a_policy_permits_exactly_what_the_service_does(
    objects_of: Callable[[Service], S3Objects], service: Service
) -> None:
    objects = objects_of(service)
    tries = {
        f"{verb} {bucket}": act
        for bucket in Bucket
        for verb, act in {
            "put": lambda bucket=bucket: objects.put(bucket, f"{KEY}-{service}", b"x"),
            "put large": lambda bucket=bucket: objects.put(bucket, f"{KEY}-{service}-large", LARGE),
            "read": lambda bucket=bucket: objects.adopt(bucket, KEY),
            "list": lambda bucket=bucket: objects.prefixes(bucket),
        }.items()
    }

    allowed = {name for name, act in tries.items() if _may(act)}

    assert allowed == ALLOWED[service]


def test_every_policy_is_tested() -> None:
    assert ALLOWED.keys() == OBJECTS.keys()


def _may(act: Callable[[], object]) -> bool:
    try:
        act()
    except ObjectsUnavailable:
        return False
    return True
