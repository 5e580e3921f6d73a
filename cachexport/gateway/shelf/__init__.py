"""A place behind references: its names, its manifests and blobs, and its upstream places."""
