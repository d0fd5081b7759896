"""Removes keys, tokens and passwords from log lines, whichever value, exception or library they come from."""

import re

REDACTED = "[redacted]"

_NAMES = r"(?:[a-z_-]*(?:authorization|cookie|password|passwd|secret|secret[_-]key|access[_-]key|api[_-]key|token))"
_QUOTE = r"""\\?["']"""
_VALUE = r"""(?:\\.|[^"'\\])+"""
# The first group of each stays.
_SECRETS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"()\btp_[0-9a-f]{8}_[A-Za-z0-9_-]{8,}",  # an API key
        r"(\b(?:Bearer|Basic) )[^\s\"'\\,]+",
        r"(://)[^\s/@:\"'\\]*+:[^\s/@\"'\\]++(?=@)",  # user and password of a URL; possessive, or it is quadratic
        # signatures and credentials of presigned URLs, and the tokens of links that work once
        r"([?&\s\"'](?:x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|token)=)"
        r"[^&\s\"'\\]+",
        r"((?:__Host-)?tidepool(?:-\d+)?=)[^;\s\"'\\]+",  # the cookie of a browser session
        rf"({_QUOTE}{_NAMES}{_QUOTE}\s*:\s*{_QUOTE}){_VALUE}",  # {"authorization": "…"}, also as text in a string
        rf"([\[(]\s*{_QUOTE}{_NAMES}{_QUOTE}\s*,\s*{_QUOTE}){_VALUE}",  # [["authorization", "…"]]
    )
]
# A line without any of these has no secret; most lines do, and the patterns would cost more than the rest of a line.
_HINTS = (
    "tp_",
    "bearer ",
    "basic ",
    "@",
    "x-amz-",
    "x-goog-",
    "sig",
    "key",
    "token",
    "cookie",
    "tidepool",
    "passw",
    "secret",
    "authorization",
)


def redacted(line: str) -> str:
    """Return a log line, rendered as JSON, without what gives access to anything."""
    lower = line.lower()
    if any(hint in lower for hint in _HINTS):
        for secret in _SECRETS:
            line = secret.sub(rf"\g<1>{REDACTED}", line)
    return line
