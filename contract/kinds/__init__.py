"""One module for each job kind. Every module of this package is imported when a kind is first looked up.

A new kind is three things: a module here that calls `register(Kind(...))`, a handler in the `main` of the service that
serves the kind's pool, and a module in `services/storage/publications`.
"""
