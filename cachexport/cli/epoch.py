"""The time that reproducible builds give instead of now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.oci.timestamp import Timestamp

_VARIABLE = "SOURCE_DATE_EPOCH"


def source_date_epoch() -> Timestamp | None:
    """Give the time of SOURCE_DATE_EPOCH; None where it is not set. Raises InvalidInputError."""
    from cachexport.errors import InvalidInputError
    from cachexport.oci.timestamp import Timestamp

    text = os.environ.get(_VARIABLE)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise InvalidInputError(f"{_VARIABLE} is no number of seconds: {text!r}")
    return Timestamp(int(text))
