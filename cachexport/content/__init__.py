"""One blob: reading, writing, verifying, copying, converting it, and trying again."""
