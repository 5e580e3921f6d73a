"""The entry point `gha`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cachexport.plugin import ObjectBackend, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.plugin import Source, Spec
    from cachexport_gha.attrs import GhaExport, GhaImport
    from cachexport_gha.client import GhaClient
    from cachexport_gha.keys import GhaKeys
    from cachexport_gha.token import Token

_API = "https://api.github.com"
_LACKING = (
    "type=gha needs token=, or $ACTIONS_RUNTIME_TOKEN, which a step has only when an action "
    "exported it; cachexport-gha's README shows one"
)


class GhaBackend(ObjectBackend):
    """Makes sources and targets of `type=gha`. What they need is imported with the first."""

    kind = "gha"

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport_gha.attrs import GhaExport, GhaImport

        return GhaImport, GhaExport

    def open_store(self, attrs: GhaExport | GhaImport, /) -> Store:
        """See ObjectBackend."""
        token, keys, client = self._opened(attrs)
        return Store(client=client, keys=keys, sweeps=self._lists(attrs) and bool(token.writes))

    def source(self, spec: Spec, /) -> Source:
        """See Backend. Read is the scope's cache of every branch that the token can read."""
        from cachexport.plugin import Blobs, ObjectSource
        from cachexport_gha.keys import mark

        attrs: Any = self._read(spec, as_target=False)
        token, keys, client = self._opened(attrs)
        names = [f"{attrs.scope}@{mark(scope)}" for scope in token.scopes]
        if "@" in attrs.scope:
            names = [attrs.scope]
        return ObjectSource(Blobs(client=client, keys=keys), names, attrs.digest)

    def split(self, spec: Spec, /) -> tuple[Spec, ...]:
        """See ManyNamed: a specification has one scope."""
        return (spec,)

    def name(self, spec: Spec, /) -> str | None:
        """See PlaceBackend: what other backends call a name is a scope here."""
        return None if "digest" in spec.attrs else spec.attrs.get("scope", "buildkit")

    def place(self, spec: Spec, /) -> Any:
        """See PlaceBackend: all scopes. Blobs go where the branch can be written and listed."""
        from cachexport.plugin import Blobs
        from cachexport_gha.place import GhaPlace, ListedGhaPlace

        given = {key: value for key, value in spec.attrs.items() if key != "digest"}
        attrs: Any = self._read(replace(spec, attrs=given), as_target=True)
        token, keys, client = self._opened(attrs)

        def named(name: str, *, force: bool = False) -> Spec:
            forced = {"force": "true"} if force else {}
            return replace(spec, attrs={**given, "scope": name, **forced})

        content = Blobs(client=client, keys=keys, touch_refresh=attrs.touch_refresh)
        shared: dict[str, Any] = {
            "content": content,
            "root": "",
            "source": named,
            "target": named,
            "names": keys,
        }
        if not (self._lists(attrs) and token.writes):
            return ListedGhaPlace(**shared)
        return GhaPlace(**shared, client=client, token=token)

    def _opened(self, attrs: GhaExport | GhaImport) -> tuple[Token, GhaKeys, GhaClient]:
        from cachexport.errors import InvalidAttr
        from cachexport_gha.client import GhaClient
        from cachexport_gha.keys import BLOBS, INDEXES, GhaKeys, mark
        from cachexport_gha.token import read_token

        text = attrs.token or self._env.get("ACTIONS_RUNTIME_TOKEN", "")
        if not text:
            raise InvalidAttr("token", _LACKING)
        token = read_token(text)
        url = self._url(attrs)
        keys = GhaKeys(blobs=BLOBS, names=INDEXES, own=mark(token.writes))
        client = GhaClient(
            self._service(url, token), self._rest(attrs), token, attrs.upload_parallelism
        )
        return token, keys, client

    def _url(self, attrs: GhaExport | GhaImport) -> str:
        from cachexport.errors import InvalidAttr

        if attrs.version == 1:
            raise InvalidAttr(
                "version",
                "version 1 of the cache service was switched off by GitHub in 2025; leave it out",
            )
        url = attrs.url_v2 or self._env.get("ACTIONS_RESULTS_URL", "") or attrs.url
        if not url:
            raise InvalidAttr("url_v2", "type=gha needs url_v2=, or $ACTIONS_RESULTS_URL")
        if "/_apis/artifactcache" in url or "artifactcache.actions" in url:
            raise InvalidAttr(
                "url", "that is the URL of the service's version 1, which was switched off"
            )
        return url.rstrip("/")

    def _service(self, url: str, token: Token) -> Any:
        from cachexport_gha.calls import Bucket, Calls
        from cachexport_gha.service import Service

        headers = {"Authorization": f"Bearer {token.text}", "Content-Type": "application/json"}
        place = "gha://" + url.partition("://")[2]
        return Service(Calls(url, headers, place, Bucket()), place)

    def _lists(self, attrs: GhaExport | GhaImport) -> bool:
        return bool(attrs.ghtoken and self._repository(attrs))

    def _repository(self, attrs: GhaExport | GhaImport) -> str:
        return attrs.repository or self._env.get("GITHUB_REPOSITORY", "")

    def _rest(self, attrs: GhaExport | GhaImport) -> Any:
        from cachexport_gha.calls import Bucket, Calls
        from cachexport_gha.rest import Rest

        if not self._lists(attrs):
            return None
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {attrs.ghtoken}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "cachexport",
        }
        base = attrs.api_url or self._env.get("GITHUB_API_URL", "") or _API
        repository = self._repository(attrs)
        place = f"{base.partition('://')[2]}/{repository}"
        return Rest(Calls(base, headers, place, Bucket()), repository)


backend = GhaBackend()
