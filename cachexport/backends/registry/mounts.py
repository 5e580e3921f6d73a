"""Mounting blobs: a repository takes them over from another one of the same registry."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from cachexport.backends.registry.errors import TEMPORARY
from cachexport.content.parallel import map_parallel
from cachexport.errors import Auth, BackendError, NotFound, RegistryError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client
    from cachexport.oci.descriptor import Descriptor

_CREATED, _UPLOAD_BEGUN = 201, 202
_CANNOT_MOUNT = frozenset(range(400, 500)) - TEMPORARY

_log = logging.getLogger(__name__)


class Mounts:
    """Mounts blobs into one repository. Threads may share it; `place` is for messages."""

    def __init__(self, client: Client, name: str, place: str) -> None:
        self._client = client
        self._name = name
        self._place = place
        self._closed_to_us: set[str] = set()
        self._mountable: set[str] = set()
        self._unmountable: set[str] = set()
        self._explained: set[str] = set()

    def mount_known(self, desc: Descriptor, repository_name: str) -> bool:
        """Mount a blob that was read from the other repository. Says whether it was mounted.

        If the first of them cannot be mounted, that repository is not asked again.
        """
        if repository_name in self._unmountable:
            return False
        if self.mount(desc, repository_name):
            self._mountable.add(repository_name)
            return True
        if repository_name not in self._mountable:
            self._unmountable.add(repository_name)
        return False

    def mount(self, desc: Descriptor, repository_name: str) -> bool:
        """Mount a blob from another repository of the registry. Says whether it was mounted.

        It was not if it is not there, if this login may not read it, or if the registry mounts
        nothing; then it has to be ingested. A repository that may not be read is asked once.
        Raises BackendError.
        """
        if repository_name in self._closed_to_us:
            return False
        try:
            response = self._ask(desc, repository_name)
        except Auth as error:
            _log.info("%s takes nothing over from %s: %s", self._place, repository_name, error)
            self._closed_to_us.add(repository_name)
            return False
        except NotFound:
            return False
        except RegistryError as error:
            if error.status in _CANNOT_MOUNT:
                return False
            raise
        response.drain_conn()
        if response.status == _CREATED:
            return True
        # The registry has begun an upload instead. Nobody is going to use it.
        location = response.headers.get("Location", "")
        if location:
            self._client.discard(urljoin(self._client.base, location))
        return False

    def mount_all(
        self, descs: list[Descriptor], repository_name: str, parallelism: int
    ) -> list[Descriptor]:
        """Mount as many as possible, so many at once. Gives the blobs that were not mounted."""
        mount = partial(self.mount, repository_name=repository_name)
        mounted = map_parallel(mount, descs, parallelism)
        counts = sum(mounted), len(descs)
        _log.info(
            "%s took over %d of %d missing blobs from %s", self._place, *counts, repository_name
        )
        if descs and not any(mounted):
            self._explain(repository_name)
        return [desc for desc, done in zip(descs, mounted, strict=True) if not done]

    def _explain(self, repository_name: str) -> None:
        """Warn once of a repository that gave nothing because it is not there or not readable."""
        if repository_name in self._explained:
            return
        self._explained.add(repository_name)
        host = self._client.host
        try:
            self._client.call(
                "GET",
                f"/v2/{repository_name}/tags/list",
                op=f"look for {host}/{repository_name}",
                expect=(200,),
                scope=f"repository:{repository_name}:pull",
            ).drain_conn()
        except NotFound:
            _log.warning("mount-from: there is no %s/%s", host, repository_name)
        except Auth:
            _log.warning("mount-from: %s/%s may not be read", host, repository_name)
        except BackendError as error:
            _log.info("%s", error)

    def _ask(self, desc: Descriptor, repository_name: str) -> BaseHTTPResponse:
        query = urlencode({"mount": str(desc.digest), "from": repository_name})
        return self._client.call(
            "POST",
            f"/v2/{self._name}/blobs/uploads/?{query}",
            op=f"take {desc.digest} over from {repository_name} into {self._place}",
            body=b"",
            expect=(_CREATED, _UPLOAD_BEGUN),
            scope=f"repository:{self._name}:pull,push repository:{repository_name}:pull",
        )
