"""Blobs on their way in, whose digest is not known yet."""
