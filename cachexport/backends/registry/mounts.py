"""Taking blobs over from other repositories of a registry, without their bytes being sent."""

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
    """What one repository takes over; `place` is what messages call it. Threads may share it."""

    def __init__(self, client: Client, name: str, place: str) -> None:
        self._client = client
        self._name = name
        self._place = place
        self._closed_to_us: set[str] = set()
        self._mountable: set[str] = set()
        self._unmountable: set[str] = set()
        self._explained: set[str] = set()

    def mount_known(self, desc: Descriptor, repository_name: str) -> bool:
        """Do as `mount` for a blob that is known to be there, or was there when it was read.

        So a repository from which the first one cannot be had is not asked again.
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
        """Take a blob over from another repository of the registry, and say whether it was.

        It is not when it is not there, when we may not read it, and when the registry does no
        such thing; then it has to be ingested. A repository that we may not read is asked once.
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
        # It began an upload instead, which nobody wants to go on with.
        location = response.headers.get("Location", "")
        if location:
            self._client.discard(urljoin(self._client.base, location))
        return False

    def mount_all(
        self, descs: list[Descriptor], repository_name: str, parallelism: int
    ) -> list[Descriptor]:
        """Mount what can be, and give the rest."""
        mount = partial(self.mount, repository_name=repository_name)
        mounted = map_parallel(mount, descs, parallelism)
        told = (self._place, sum(mounted), len(descs), repository_name)
        _log.info("%s took over %d of %d missing blobs from %s", *told)
        if descs and not any(mounted):
            self._explain(repository_name)
        return [desc for desc, done in zip(descs, mounted, strict=True) if not done]

    def _explain(self, repository_name: str) -> None:
        """Warn once of a repository that has nothing because it is not there."""
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
