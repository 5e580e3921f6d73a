"""Putting the image that a build made into a store, as BuildKit's exporters do."""
