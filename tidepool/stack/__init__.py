"""The embedded stack: the real services over real servers, as local processes on loopback."""
