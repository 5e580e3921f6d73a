"""A registry in memory, in the test's process, that fails where a test's script says so."""

from support.services.messages import Request
from support.services.scripted.faults import Fault, Rule
from support.services.scripted.server import ScriptedRegistry

__all__ = ["Fault", "Request", "Rule", "ScriptedRegistry"]
