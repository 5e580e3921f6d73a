"""The attributes of `type=gha`: BuildKit's, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from cachexport.plugin import (
    Digest,
    StoreExport,
    StoreImport,
    attribute,
    count,
    duration,
    flag,
)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("wants a URL")
    return text.rstrip("/")


def _scope(text: str) -> str:
    if not text or "#" in text or "," in text:
        raise ValueError("wants a name without # and commas")
    return text


def _repository(text: str) -> str:
    if len([part for part in text.split("/") if part]) != 2:
        raise ValueError("wants owner/repository")
    return text


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach the service, and which cache is meant."""

    scope: str = attribute("scope", _scope, default="buildkit", summary="the cache's name")
    url: str = attribute(
        "url", _url, default="", summary="the service's URL, where url_v2 is not given"
    )
    url_v2: str = attribute(
        "url_v2", _url, default="", summary="the URL of its version 2; else $ACTIONS_RESULTS_URL"
    )
    token: str = attribute(
        "token", default="", summary="the runner's token; else $ACTIONS_RUNTIME_TOKEN"
    )
    timeout: float = attribute(
        "timeout", duration, default=600.0, summary="how long one thing is tried, by default 10m"
    )
    repository: str = attribute(
        "repository",
        _repository,
        default="",
        summary="owner/repository, to list and prune; else $GITHUB_REPOSITORY",
    )
    ghtoken: str = attribute(
        "ghtoken", default="", summary="a token for GitHub's API, to list and prune"
    )
    version: int = attribute(
        "version", count, default=2, summary="the service's version; 1 is no more"
    )
    api_url: str = attribute(
        "api_url", _url, default="", summary="GitHub's API; else $GITHUB_API_URL"
    )
    upload_parallelism: int = attribute(
        "upload_parallelism", count, default=4, summary="how many blobs move at once"
    )

    @property
    def name(self) -> tuple[str, ...]:
        """What other backends call a scope."""
        return (self.scope,)


@dataclass(frozen=True, kw_only=True)
class GhaImport(StoreImport, Connection):
    """What `type=gha` takes as a source."""

    digest: Digest | None = attribute(  # noqa: RUF009 - it gives a field
        "digest", Digest.parse, default=None, summary="read this manifest instead of a scope"
    )


@dataclass(frozen=True, kw_only=True)
class GhaExport(Connection, StoreExport):
    """What `type=gha` takes as a target."""

    force: bool = attribute(
        "force", flag, default=False, summary="replace a scope that is no cache"
    )
