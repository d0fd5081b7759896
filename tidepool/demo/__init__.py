"""The demo: train a model on real images and serve it, over REST only."""
