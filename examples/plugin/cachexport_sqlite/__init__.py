"""Build caches in one SQLite file."""

from cachexport_sqlite.backend import backend

__all__ = ["backend"]
