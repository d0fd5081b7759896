"""The demonstration: the main job on real pictures, over REST only, as a user's script would do it."""
