"""The words of the OCI specifications: digests, descriptors, media types, times."""
