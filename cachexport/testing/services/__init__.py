"""Real services for tests: programs of the machine that end with the block, on free ports."""

from cachexport.testing.services.machine import lacking
from cachexport.testing.services.ports import answers, free_port
from cachexport.testing.services.process import ServiceFailed, environment, program, running

__all__ = [
    "ServiceFailed",
    "answers",
    "environment",
    "free_port",
    "lacking",
    "program",
    "running",
]
