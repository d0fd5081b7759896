"""The command `tidepool simulate`: compares bounds of a pool under a load."""
