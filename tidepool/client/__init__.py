"""Tidepool's REST API from Python."""

from tidepool.client.client import Client, media_type

__all__ = ["Client", "media_type"]
