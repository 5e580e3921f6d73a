"""cachexport: BuildKit's build caches, modelled, moved, written and read.

The names here are what a program needs; each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachexport.api.answers import Answer
    from cachexport.api.building import build
    from cachexport.api.ends import open_source, open_targets
    from cachexport.api.images import open_image, pull_image, push_image
    from cachexport.api.keeping import (
        compact_cache,
        lifecycle_rules,
        prune_caches,
        remove_names,
        repair_names,
        touch_cache,
    )
    from cachexport.api.looking import (
        cache_usage,
        check_cache,
        diff_caches,
        explain_record,
        list_names,
        report_caches,
        verify_cache,
        verify_names,
    )
    from cachexport.api.moving import (
        copy_cache,
        copy_names,
        export_cache,
        import_cache,
        load_cache,
        merge_cache,
        tag_cache,
    )
    from cachexport.api.outputs import output_image
    from cachexport.api.stored import append_image, load_archive
    from cachexport.content.memory import MemoryContent
    from cachexport.content.progress import Event
    from cachexport.contract.installed import list_plugins
    from cachexport.errors import CachexportError
    from cachexport.images.exporter.exporter import ImageExporter
    from cachexport.images.exporter.result import BuildResult
    from cachexport.images.store import Store
    from cachexport.insight.report.page import render_report
    from cachexport.model.chains import (
        BlobSource,
        CacheChains,
        CacheLink,
        CacheRecord,
        CacheResult,
        Remote,
    )
    from cachexport.model.envelope.inline import encode_inline
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.oci.timestamp import Timestamp
    from cachexport.transfer.exporter import Exporter

__version__ = "0.1.0"

_HOMES = {
    "Answer": "cachexport.api.answers",
    "BlobSource": "cachexport.model.chains",
    "BuildResult": "cachexport.images.exporter.result",
    "CacheChains": "cachexport.model.chains",
    "CacheLink": "cachexport.model.chains",
    "CacheRecord": "cachexport.model.chains",
    "CacheResult": "cachexport.model.chains",
    "CachexportError": "cachexport.errors",
    "Descriptor": "cachexport.oci.descriptor",
    "Digest": "cachexport.oci.digest",
    "Event": "cachexport.content.progress",
    "Exporter": "cachexport.transfer.exporter",
    "ImageExporter": "cachexport.images.exporter.exporter",
    "MemoryContent": "cachexport.content.memory",
    "Remote": "cachexport.model.chains",
    "Store": "cachexport.images.store",
    "Timestamp": "cachexport.oci.timestamp",
    "append_image": "cachexport.api.stored",
    "build": "cachexport.api.building",
    "cache_usage": "cachexport.api.looking",
    "check_cache": "cachexport.api.looking",
    "compact_cache": "cachexport.api.keeping",
    "copy_cache": "cachexport.api.moving",
    "copy_names": "cachexport.api.moving",
    "diff_caches": "cachexport.api.looking",
    "encode_inline": "cachexport.model.envelope.inline",
    "explain_record": "cachexport.api.looking",
    "export_cache": "cachexport.api.moving",
    "import_cache": "cachexport.api.moving",
    "lifecycle_rules": "cachexport.api.keeping",
    "list_names": "cachexport.api.looking",
    "list_plugins": "cachexport.contract.installed",
    "load_archive": "cachexport.api.stored",
    "load_cache": "cachexport.api.moving",
    "merge_cache": "cachexport.api.moving",
    "open_image": "cachexport.api.images",
    "open_source": "cachexport.api.ends",
    "open_targets": "cachexport.api.ends",
    "output_image": "cachexport.api.outputs",
    "prune_caches": "cachexport.api.keeping",
    "pull_image": "cachexport.api.images",
    "push_image": "cachexport.api.images",
    "remove_names": "cachexport.api.keeping",
    "render_report": "cachexport.insight.report.page",
    "repair_names": "cachexport.api.keeping",
    "report_caches": "cachexport.api.looking",
    "tag_cache": "cachexport.api.moving",
    "touch_cache": "cachexport.api.keeping",
    "verify_cache": "cachexport.api.looking",
    "verify_names": "cachexport.api.looking",
}

__all__ = [
    "Answer",
    "BlobSource",
    "BuildResult",
    "CacheChains",
    "CacheLink",
    "CacheRecord",
    "CacheResult",
    "CachexportError",
    "Descriptor",
    "Digest",
    "Event",
    "Exporter",
    "ImageExporter",
    "MemoryContent",
    "Remote",
    "Store",
    "Timestamp",
    "append_image",
    "build",
    "cache_usage",
    "check_cache",
    "compact_cache",
    "copy_cache",
    "copy_names",
    "diff_caches",
    "encode_inline",
    "explain_record",
    "export_cache",
    "import_cache",
    "lifecycle_rules",
    "list_names",
    "list_plugins",
    "load_archive",
    "load_cache",
    "merge_cache",
    "open_image",
    "open_source",
    "open_targets",
    "output_image",
    "prune_caches",
    "pull_image",
    "push_image",
    "remove_names",
    "render_report",
    "repair_names",
    "report_caches",
    "tag_cache",
    "touch_cache",
    "verify_cache",
    "verify_names",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
