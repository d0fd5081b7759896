"""Quotas and retention of a project, as people type them: `20`, `10GiB`, `none`."""

import re
from typing import Any

from contract.projects import Project
from tidepool.cli.exits import WrongUsage

NONE = "none"
SIZES = {"stored_bytes", "upload_bytes"}  # quotas in bytes
UNITS: dict[str, int] = {"": 1, "b": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for ending, base in (("b", 1000), ("ib", 1024), ("", 1024))
}

_SIZE = re.compile(r"([0-9]+)(\.[0-9]+)? ?([a-zA-Z]*)")


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were typed."""
    return {name: value for name, value in options.items() if value is not None}


def amount(field: str, text: str) -> int | None:
    """Return the number, or the bytes of a size, that was typed for a field; None for `none`. Raises WrongUsage."""
    option = f"--{field.replace('_', '-')}"
    if text == NONE:
        return None
    if field in SIZES:
        return size(option, text, f", or {NONE}")
    if not (text.isascii() and text.isdecimal()):
        raise WrongUsage(f"{option} is a whole number or {NONE}, not {text}.")
    return int(text)


def retention_after(project: Project, days: dict[str, int | None], versions: dict[str, Any]) -> dict[str, Any]:
    """Return the retention after a change, as a whole, which is how the server takes it; raises WrongUsage."""
    retention = project.retention.model_dump(mode="json") | days
    of_versions: dict[str, Any] = retention["versions"] or {}
    versions_days = retention.pop("versions_days", of_versions.get("days"))
    if versions_days is None:
        if versions:
            raise WrongUsage("No versions are deleted by themselves. Say after how long with --versions-days.")
        return retention | {"versions": None}
    return retention | {"versions": of_versions | {"days": versions_days} | versions}


def size(option: str, text: str, alternative: str = "") -> int:
    """Return the bytes of a size that was typed; raises WrongUsage."""
    match = _SIZE.fullmatch(text)
    factor: int | None = UNITS.get(match[3].lower()) if match else None
    if match is None or factor is None:
        raise WrongUsage(f"{option} is a size like 500MB or 10GiB{alternative}, not {text}.")
    return int(match[1]) * factor + round(float(match[2] or 0) * factor)
