"""Caches on anything that fsspec reaches: `type=fsspec,url=gs://bucket/prefix`."""

from cachexport_fsspec.backend import backend

__all__ = ["backend"]
