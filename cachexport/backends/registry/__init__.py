"""OCI registries as sources and targets."""

from cachexport.backends.registry.backend import backend

__all__ = ["backend"]
