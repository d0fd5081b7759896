"""How a pool would behave under a load: the autoscaler's own policy on simulated replicas."""
