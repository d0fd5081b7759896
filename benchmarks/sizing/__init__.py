"""How much CPU time a prediction takes in each process, and how many replicas follow from it: `make bench-sizing`."""
