"""Sizes as the command shows them."""

from cachexport.maintenance.sizes import readable

__all__ = ["readable"]
