"""What a person types: the command line, the Python client, the embedded stack."""
