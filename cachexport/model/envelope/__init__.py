"""What wraps a cache config: index, image manifest, or the config of an image (inline)."""
