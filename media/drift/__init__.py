"""Compares what a model is asked with what it was validated with, from histograms alone."""
