"""What gives access to anything is removed from log lines."""

import json
from typing import Any

import pytest

from messaging.redaction import redacted

KEY = "tp_0123abcd_" + "S3cr3t" * 7 + "x"


@pytest.mark.parametrize(
    "event",
    [
        {"event": f"unknown key {KEY}"},
        {"authorization": "Bearer S3cr3t"},
        {"headers": {"Authorization": "Basic S3cr3t=="}},
        {"headers": [["authorization", "Token S3cr3t"], ["cookie", "tidepool-8080=S3cr3t; theme=dark"]]},
        {"headers": "[(b'x', b'y'), ('set-cookie', 'S3cr3t')]"},
        {"cookie": 'theme="dark"; S3cr3t'},
        {"Set-Cookie": "__Host-tidepool=S3cr3t; Secure"},
        {"event": "cookie of the request: tidepool=S3cr3t"},
        {"url": "http://s3/b/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=S3cr3t%2F1&X-Amz-Signature=S3cr3t&x-id=Get"},
        {"url": "https://storage/b/k?X-Goog-Signature=S3cr3t"},
        {"url": "https://s3/b/k?AWSAccessKeyId=S3cr3t&Signature=S3cr3t%3D&Expires=1"},
        {"event": "GET /sign-in?token=S3cr3t HTTP/1.1"},
        {"exception": "Error: connecting to redis://gateway:S3cr3t@redis:6379/0"},
        {"error": "postgresql+psycopg://tidepool:S3cr3t%40@db/tidepool"},
        {"exception": "settings: {'secret_key': 'S3cr3t', 'region': 'x'}"},
        {"body": json.dumps({"api_key": "S3cr3t"})},
        {"exception": f"Traceback …\n  Authorization: Bearer {KEY}\nValueError"},
    ],
    ids=lambda event: next(iter(event)),
)
def test_a_secret_is_removed_and_the_line_is_still_json(event: dict[str, Any]) -> None:
    line = redacted(json.dumps(event))
    assert "S3cr3t" not in line
    assert json.loads(line).keys() == event.keys()


@pytest.mark.parametrize(
    "event",
    [
        {"event": "request", "method": "GET", "path": "/v1/keys/0123abcd", "status": 200},
        {"event": "a key has a token", "tokens": 3, "key": "jobs/0192/attempts/1/model.onnx"},
        {"event": "a secret, a cookie", "label": "cookie", "next": "password"},
        {"event": "http://s3:9000/tidepool-jobs/key?partNumber=3&uploadId=x"},
        {"event": "request", "path": "/key://" + ":" * 200_000},  # would take minutes if the time were quadratic
    ],
)
def test_other_lines_stay_as_they_are(event: dict[str, Any]) -> None:
    assert redacted(json.dumps(event)) == json.dumps(event)
