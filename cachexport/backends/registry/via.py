"""Through whom a request comes, so that gateways which read from each other notice it."""

from __future__ import annotations

from contextvars import ContextVar

VIA: ContextVar[str] = ContextVar("VIA", default="")
"""What requests of this context say in `Via` (RFC 9110, section 7.6.3), if anything."""
