"""The console's scripts, styles and fonts, at addresses that change with their content."""

import hashlib
import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request, Response

from contract.errors import NotFound

FOLDER = Path(__file__).parent
SERVED = ("static", "vendor")

mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("text/javascript", ".js")
router = APIRouter(include_in_schema=False)


def _read_all() -> dict[str, bytes]:
    paths = sorted(path for folder in SERVED for path in (FOLDER / folder).rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in paths}


FILES = _read_all()
# One version for all files, because modules import each other by relative addresses.
BUILD = hashlib.sha256(b"".join(name.encode() + content for name, content in FILES.items())).hexdigest()[:12]
_ETAGS = {name: f'"{hashlib.sha256(content).hexdigest()[:16]}"' for name, content in FILES.items()}


def asset(name: str) -> str:
    """Return the address of a file, such as `static/app.css`; raises KeyError if there is none."""
    if name not in FILES:
        raise KeyError(name)
    return f"/console/{BUILD}/{name}"


@router.get("/console/{build}/{name:path}")
async def get_asset(build: str, name: str, request: Request) -> Response:
    """A file; at the address of another build, the browser asks again each time."""
    if name not in FILES:
        raise NotFound("there is no such file")
    lasting = "public, max-age=31536000, immutable" if build == BUILD else "no-cache"
    headers = {"Cache-Control": lasting, "ETag": _ETAGS[name]}
    if request.headers.get("if-none-match") == _ETAGS[name]:
        return Response(status_code=304, headers=headers)
    return Response(FILES[name], headers=headers, media_type=mimetypes.guess_type(name)[0] or "text/plain")
