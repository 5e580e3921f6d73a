"""Cache specifications: the value of a `--cache-to` or `--cache-from`, and its attributes."""

from cachexport.spec.attributes import attribute, known_attributes, read_attributes
from cachexport.spec.common import CommonExport
from cachexport.spec.csv import Spec, parse_spec

__all__ = [
    "CommonExport",
    "Spec",
    "attribute",
    "known_attributes",
    "parse_spec",
    "read_attributes",
]
