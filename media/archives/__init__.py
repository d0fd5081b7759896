"""Reads untrusted zip files within limits, and rejects what is unsafe."""
