"""The words every service shares: pydantic and the standard library only, no I/O, no clock."""
