"""Presigned URLs that permit a PUT of one size: AWS Signature Version 4 with Content-Length among the signed headers.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlsplit

SIGNED = "content-length;host"


def require_size(url: str, size: int, secret_key: str) -> str:
    """Return a presigned PUT URL of the SDK, which signs only the host, signed anew for a body of `size` bytes."""
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.query, keep_blank_values=True))
    del values["X-Amz-Signature"]
    values["X-Amz-SignedHeaders"] = SIGNED
    query = "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in values.items()))
    headers = f"content-length:{size}\nhost:{parts.netloc}\n"
    request = f"PUT\n{parts.path}\n{query}\n{headers}\n{SIGNED}\nUNSIGNED-PAYLOAD"
    scope = values["X-Amz-Credential"].partition("/")[2]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{values['X-Amz-Date']}\n{scope}\n{digest}"
    key = f"AWS4{secret_key}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return parts._replace(query=f"{query}&X-Amz-Signature={key.hex()}").geturl()
