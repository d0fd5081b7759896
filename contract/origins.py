"""Origins of web pages, as browsers send them in the header Origin."""

import re
from typing import Annotated

from pydantic import AfterValidator

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?")
LONGEST = 255


def check_origin(origin: str) -> str:
    """Return an origin; raises ValueError for one that no browser would send, such as one with a path or a wildcard."""
    default_port = origin.endswith({"http": ":80", "https": ":443"}.get(origin.partition(":")[0], " "))
    if len(origin) > LONGEST or not _ORIGIN.fullmatch(origin) or default_port:
        raise ValueError(
            f"{origin[:LONGEST]!r} is not an origin. Write scheme and host in lower case, and the port unless it is "
            "the scheme's own: https://app.example.com or http://localhost:5173. Wildcards are not accepted"
        )
    return origin


Origin = Annotated[str, AfterValidator(check_origin)]
