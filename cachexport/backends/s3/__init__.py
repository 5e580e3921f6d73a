"""Caches in S3 buckets, interchangeable with BuildKit's `type=s3`."""

from cachexport.backends.s3.backend import backend

__all__ = ["backend"]
