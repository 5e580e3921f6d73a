"""The config of an image: an empty one, changed ones, and the history in it."""
