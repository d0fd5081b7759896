"""Compares the requests of a model with its validation images, using only histograms."""
