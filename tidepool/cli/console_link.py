"""An address of the console that signs a browser in once."""

from ssl import SSLContext

import httpx

TIMEOUT_S = 5.0
LOOPBACK = ("all://127.0.0.1", "all://localhost")  # never through a proxy set in the environment


def sign_in_link(url: str, key: str, verify: SSLContext | bool = True) -> str:
    """Return an address that signs a browser in as this key, once and within 15 minutes.

    It is the plain address if the server does not make one, for example because it is of an older release.
    """
    try:
        with httpx.Client(verify=verify, timeout=TIMEOUT_S, mounts=dict.fromkeys(LOOPBACK)) as client:
            answer = client.post(f"{url}/console/links", headers={"Authorization": f"Bearer {key}"})
            return f"{url}{answer.raise_for_status().json()['path']}"
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return f"{url}/"
