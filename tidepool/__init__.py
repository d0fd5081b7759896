"""The command line, the Python client, the embedded stack, the simulator and the demo."""
