"""A fake of MinIO's administration API with its encryption, since tests cannot get a real server."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from minio.crypto import decrypt
from urllib3 import HTTPResponse

from tests.support.http_server import Handler, answering

ADMIN = "/minio/admin/v3/"
EMPTY = b'<?xml version="1.0"?><ListBucketResult><Name>any</Name><IsTruncated>false</IsTruncated></ListBucketResult>'
MISSING = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>no</Message></Error>'
DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'


@dataclass
class FakeMinio:
    """A server that stores users and policies, and no objects.

    `status` is the status of its administration API; `deaf` makes it ignore changes; `read_only` makes it deny writes.
    """

    secret: str
    users: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    policy_of: dict[str, str] = field(default_factory=dict)
    status: int = 200
    deaf: bool = False
    read_only: bool = False
    url: str = ""

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve over HTTP at `url`."""
        minio = self

        class Minio(Handler):
            def do_GET(self) -> None:
                at = urlsplit(self.path)
                if at.path.startswith(ADMIN):
                    self._answer(minio.status, b"{}")
                elif not self._may():
                    self._answer(403, DENIED)
                elif "list-type" in at.query:
                    self._answer(200, EMPTY)
                else:
                    self._answer(404, MISSING)

            def do_PUT(self) -> None:
                at, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not at.path.startswith(ADMIN):
                    refused = not self._may() or minio.read_only
                    self._answer(*((403, DENIED) if refused else (200, b"")))
                    return
                if minio.status == 200 and not minio.deaf:
                    minio.order(at.path.removeprefix(ADMIN), {k: v[0] for k, v in parse_qs(at.query).items()}, body)
                self._answer(minio.status, b"")

            def _may(self) -> bool:
                user = re.search("Credential=([^/]+)/", self.headers["Authorization"])
                return bool(user) and minio.policy_of.get(user[1]) in minio.policies

            def _answer(self, status: int, content: bytes) -> None:
                self.answer(status, content, Content_Type="application/xml", ETag='"1"')

        with answering(Minio) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield

    def order(self, command: str, options: dict[str, str], body: bytes) -> None:
        if command == "add-canned-policy":
            self.policies[options["name"]] = json.loads(body)
        elif command == "add-user":
            self.users[options["accessKey"]] = json.loads(
                decrypt(HTTPResponse(BytesIO(body), preload_content=False), self.secret)
            )["secretKey"]
        elif command == "set-user-or-group-policy":
            assert options["userOrGroup"] in self.users
            self.policy_of[options["userOrGroup"]] = options["policyName"]
