"""Zip files that nobody trusts: what of them is read, within which limits, and what is refused."""
