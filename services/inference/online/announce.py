"""Tells the catalog which execution provider a version was loaded with, so that people can see it."""

import structlog

from contract.errors import DatabaseUnavailable
from contract.inference import Target
from services.storage.catalog.models import Models

log = structlog.get_logger()


class ProviderAnnouncer:
    """Writes once per version and process; an outage of the database only delays it."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._told: set[tuple[str, int]] = set()

    def announce(self, target: Target, provider: str) -> None:
        version = (target.model, target.version)
        if version in self._told:
            return
        try:
            self._models.note_provider(*version, provider)
        except DatabaseUnavailable:
            log.warning("provider not noted, the database does not answer", model=target.model, version=target.version)
        else:
            self._told.add(version)
