"""How long the console's pages take on an instance with much in it."""
