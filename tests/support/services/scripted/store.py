"""What a registry in memory holds."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from support.services.messages import Refusal


@dataclass(frozen=True)
class StoredManifest:
    media_type: str
    raw: bytes

    def mentioned(self) -> list[str]:
        """Give the digests that have to be there, in order."""
        content = _object(self.raw)
        config = [content["config"]] if "config" in content else []
        others = content.get("layers", []) + content.get("manifests", [])
        return [descriptor["digest"] for descriptor in config + others]

    def media_types(self) -> set[str]:
        """Give its own type and its config's, by which registries refuse caches."""
        return {self.media_type, _object(self.raw).get("config", {}).get("mediaType", "")}


@dataclass
class Repository:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def manifest(self, reference: str) -> tuple[str, StoredManifest]:
        digest = self.tags.get(reference, reference)
        if digest not in self.manifests:
            raise Refusal(404, "MANIFEST_UNKNOWN")
        return digest, self.manifests[digest]

    def blob(self, digest: str) -> bytes:
        if digest not in self.blobs:
            raise Refusal(404, "BLOB_UNKNOWN")
        return self.blobs[digest]

    def lacks(self, manifest: StoredManifest) -> list[str]:
        return [d for d in manifest.mentioned() if d not in self.blobs | self.manifests]

    def put(self, reference: str, manifest: StoredManifest) -> str:
        digest = reference if ":" in reference else digest_of(manifest.raw)
        require(digest, manifest.raw)
        self.manifests[digest] = manifest
        if ":" not in reference:
            self.tags[reference] = digest
        return digest

    def forget(self, reference: str) -> None:
        """Delete a tag, or a manifest with all its tags."""
        digest, _ = self.manifest(reference)
        if self.tags.pop(reference, None) is None:
            del self.manifests[digest]
            self.tags = {tag: named for tag, named in self.tags.items() if named != digest}


@dataclass
class Upload:
    """What has come of a blob, and what the place where it goes on is known by."""

    data: bytearray = field(default_factory=bytearray)
    state: str | None = None


@dataclass
class Store:
    repositories: defaultdict[str, Repository] = field(
        default_factory=lambda: defaultdict(Repository)
    )
    uploads: dict[str, Upload] = field(default_factory=dict)

    def repository(self, name: str) -> Repository:
        """Give one that something was pushed to."""
        if name not in self.repositories:
            raise Refusal(404, "NAME_UNKNOWN")
        return self.repositories[name]

    def upload(self, identifier: str) -> Upload:
        if identifier not in self.uploads:
            raise Refusal(404, "BLOB_UPLOAD_UNKNOWN")
        return self.uploads[identifier]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def require(digest: str, data: bytes) -> None:
    if digest.partition(":")[0] not in {"sha256", "sha512"}:
        raise Refusal(400, "DIGEST_INVALID", digest)
    if digest_of(data, digest.partition(":")[0]) != digest:
        raise Refusal(400, "DIGEST_INVALID", f"{digest} was announced")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, "MANIFEST_INVALID", str(error)) from error
    if not isinstance(content, dict):
        raise Refusal(400, "MANIFEST_INVALID", "not an object")
    return content
