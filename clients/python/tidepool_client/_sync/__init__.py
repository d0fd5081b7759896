"""The synchronous client, generated from `_async` by `python clients/python/generate.py`."""
