"""The command line, the embedded stack, the simulator and the demo."""
