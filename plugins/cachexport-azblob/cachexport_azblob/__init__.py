"""Caches in Azure Blob Storage, interchangeable with BuildKit's `type=azblob`."""

from cachexport_azblob.backend import backend

__all__ = ["backend"]
