"""The part of MinIO that makes users, with its encryption, since no test can get a real one; of S3 it only lists."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from minio.crypto import decrypt
from urllib3 import HTTPResponse

ADMIN = "/minio/admin/v3/"
EMPTY = b'<?xml version="1.0"?><ListBucketResult><Name>any</Name><IsTruncated>false</IsTruncated></ListBucketResult>'
DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'


@dataclass
class FakeMinio:
    """`status` is what the administration answers; with `deaf` it answers, and does nothing."""

    secret: str
    users: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    policy_of: dict[str, str] = field(default_factory=dict)
    status: int = 200
    deaf: bool = False
    url: str = ""

    @contextmanager
    def served(self) -> Iterator[None]:
        """Over HTTP, at `url`."""
        minio = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                user = re.search("Credential=([^/]+)/", self.headers["Authorization"])
                known = user and minio.policy_of.get(user[1]) in minio.policies
                self._answer(200, EMPTY) if known else self._answer(403, DENIED)

            def do_PUT(self) -> None:
                at, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if minio.status == 200 and not minio.deaf:
                    minio.order(at.path.removeprefix(ADMIN), {k: v[0] for k, v in parse_qs(at.query).items()}, body)
                self._answer(minio.status, b"")

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                return None

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

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
