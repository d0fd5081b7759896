"""The file in which the supervisor says how each component is, for whoever waits, looks, or scales."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from contract.supervision import REPORTS, Report
from tidepool.stack.files import write_private


def save_reports(path: Path, reports: Iterable[Report]) -> None:
    write_private(path, REPORTS.dump_json(tuple(reports)).decode())


def load_reports(path: Path) -> tuple[Report, ...]:
    """Empty before the supervisor wrote the first one, and where nobody understands it."""
    try:
        return REPORTS.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return ()
