"""One file for each screen, or for each group of screens with the same data."""
