"""Judges a classifier from its logits: metrics, calibration, thresholds, label errors, and tests between two models."""
