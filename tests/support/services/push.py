"""Puts things into a registry, by requests that owe nothing to the code under test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from support.services.client import ask
from support.services.scripted.store import digest_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

    from support.services.client import Answer


class PushFailed(Exception):
    """The registry answered otherwise than with Created or Accepted."""


def push_blob(
    base: str,
    repo: str,
    data: bytes,
    headers: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
) -> str:
    """Push a blob in two requests and give its digest; `base` is scheme and host."""
    start = f"{base}/v2/{repo}/blobs/uploads/"
    begun = _expect(202, ask("POST", start, b"", headers, trust))
    location = urljoin(start, begun.headers["Location"])
    digest = digest_of(data)
    target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
    _expect(201, ask("PUT", target, data, headers, trust))
    return digest


def push_manifest(base: str, repo: str, reference: str, raw: bytes, media_type: str) -> str:
    url = f"{base}/v2/{repo}/manifests/{reference}"
    answer = _expect(201, ask("PUT", url, raw, {"Content-Type": media_type}))
    return answer.headers["Docker-Content-Digest"]


def push_layout(base: str, repo: str, tag: str, layout: Path) -> str:
    """Push the first manifest that an OCI layout names, with every blob that is there."""
    for blob in sorted((layout / "blobs" / "sha256").iterdir()):
        push_blob(base, repo, blob.read_bytes())
    first = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    raw = layout.joinpath("blobs", *first["digest"].split(":")).read_bytes()
    return push_manifest(base, repo, tag, raw, first["mediaType"])


def _expect(status: int, answer: Answer) -> Answer:
    if answer.status != status:
        raise PushFailed(f"{answer.status} instead of {status}: {answer.body!r}")
    return answer
