"""Caches in object stores: blobs, and one mutable object for each name."""
