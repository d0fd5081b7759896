"""Paths of the REST API, and references such as `pets@3`."""

from urllib.parse import quote

from contract.errors import Invalid
from contract.references import Reference
from tidepool_client.errors import InvalidInput


def path(*parts: object) -> str:
    """Return `/v1/…` with every part quoted; raises InvalidInput for a part that cannot be one."""
    for part in parts:
        if str(part) in {"", ".", ".."}:
            raise InvalidInput(f"{str(part)!r} is not a name or an id")
    return "/v1/" + "/".join(quote(str(part), safe="@") for part in parts)


def parse(reference: str) -> Reference:
    """Read `name`, `name@version` or `name@alias`; raises InvalidInput."""
    try:
        return Reference.parse(reference)
    except Invalid as error:
        raise InvalidInput(error.message) from None


def pinned(reference: str) -> tuple[str, int]:
    """Return the name and the version of `name@version`; raises InvalidInput for any other reference."""
    parsed = parse(reference)
    if parsed.version is None:
        raise InvalidInput(f"{reference!r} does not name a version; write it like {parsed.name}@1")
    return parsed.name, parsed.version
