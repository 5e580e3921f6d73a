"""Caches in the cache service of GitHub Actions, interchangeable with BuildKit's `type=gha`."""

from cachexport_gha.backend import backend

__all__ = ["backend"]
