"""Simulates a pool under a load: the scaling policy on simulated replicas."""
