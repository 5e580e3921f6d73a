"""Real services, each started by a context manager, and one that fails on demand."""
