"""What a registry can do for a cache: the checks that `doctor` runs."""

from cachexport.backends.registry.checks.table import RegistryProbe

__all__ = ["RegistryProbe"]
