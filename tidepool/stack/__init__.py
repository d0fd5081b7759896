"""The embedded stack: all services, Redis and an object store as local processes on loopback."""
