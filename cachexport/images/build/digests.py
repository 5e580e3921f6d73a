"""What steps are told apart by."""

from __future__ import annotations

import json

from cachexport.oci.digest import Digest

_SCHEME = "cachexport.step.v1"
"""Another one for a step of which the same description makes something else."""


def step_digest(kind: str, /, **what: object) -> Digest:
    """Give the digest of a step of this kind: of all that decides what it makes of its inputs.

    `what` is anything that JSON can say; the order of its keys does not count.
    """
    text = json.dumps([_SCHEME, kind, what], sort_keys=True, separators=(",", ":"))
    return Digest.of(text.encode())
