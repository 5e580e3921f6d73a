"""cachexport: BuildKit's build caches, modelled, moved, written and read."""
