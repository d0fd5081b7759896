"""Simulates a pool under a load: the autoscaler's own policy on simulated replicas."""
