"""Types that all services share: only pydantic, msgspec and the standard library; no I/O, no clock."""

__version__ = "0.1.0"
