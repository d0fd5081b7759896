"""How a search scales over replicas, and what it gains."""
