"""The client for asyncio. The package `_sync` is generated from this one: `python clients/python/generate.py`."""
