"""Temporary."""

from services.storage.database import Database


class Drift:
    def __init__(self, database: Database, project: str) -> None: ...
    def alarms(self):
        return ()
