"""The plumbing under every service; no business nouns."""
