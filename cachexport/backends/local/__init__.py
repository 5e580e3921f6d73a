"""Local directories (OCI image layouts) and archives of them: `type=local`."""

from cachexport.backends.local.backend import backend

__all__ = ["backend"]
