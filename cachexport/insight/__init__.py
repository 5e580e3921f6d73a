"""Looking at caches: what is in them, how large they are, how two differ, and why."""
