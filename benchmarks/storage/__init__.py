"""How long claims, counts, lists, the relay and events take with very many jobs: `make bench-storage`."""
