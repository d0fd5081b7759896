"""Backups of an embedded stack: one tar file with the database, the objects that it refers to, and the secrets."""
