"""cachexport: BuildKit's build caches, modelled, moved, written and read.

The names here are what a program needs; each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachexport.api import (
        Answer,
        cache_usage,
        check_cache,
        compact_cache,
        copy_cache,
        copy_names,
        diff_caches,
        explain_record,
        export_cache,
        import_cache,
        lifecycle_rules,
        list_names,
        load_cache,
        merge_cache,
        open_source,
        open_targets,
        prune_caches,
        remove_names,
        repair_names,
        report_caches,
        tag_cache,
        touch_cache,
        verify_cache,
        verify_names,
    )
    from cachexport.chains import (
        BlobSource,
        CacheChains,
        CacheLink,
        CacheRecord,
        CacheResult,
        Remote,
    )
    from cachexport.content.memory import MemoryContent
    from cachexport.envelope.inline import encode_inline
    from cachexport.errors import CachexportError
    from cachexport.maintenance.report.page import render_report
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.oci.timestamp import Timestamp
    from cachexport.transfer.exporter import Exporter
    from cachexport.transfer.progress import Event

__version__ = "0.1.0"

_HOMES = {
    "Answer": "cachexport.api",
    "BlobSource": "cachexport.chains",
    "CacheChains": "cachexport.chains",
    "CacheLink": "cachexport.chains",
    "CacheRecord": "cachexport.chains",
    "CacheResult": "cachexport.chains",
    "CachexportError": "cachexport.errors",
    "Descriptor": "cachexport.oci.descriptor",
    "Digest": "cachexport.oci.digest",
    "Event": "cachexport.transfer.progress",
    "Exporter": "cachexport.transfer.exporter",
    "MemoryContent": "cachexport.content.memory",
    "Remote": "cachexport.chains",
    "Timestamp": "cachexport.oci.timestamp",
    "cache_usage": "cachexport.api",
    "check_cache": "cachexport.api",
    "compact_cache": "cachexport.api",
    "copy_cache": "cachexport.api",
    "copy_names": "cachexport.api",
    "diff_caches": "cachexport.api",
    "encode_inline": "cachexport.envelope.inline",
    "explain_record": "cachexport.api",
    "export_cache": "cachexport.api",
    "import_cache": "cachexport.api",
    "lifecycle_rules": "cachexport.api",
    "list_names": "cachexport.api",
    "load_cache": "cachexport.api",
    "merge_cache": "cachexport.api",
    "open_source": "cachexport.api",
    "open_targets": "cachexport.api",
    "prune_caches": "cachexport.api",
    "remove_names": "cachexport.api",
    "render_report": "cachexport.maintenance.report.page",
    "repair_names": "cachexport.api",
    "report_caches": "cachexport.api",
    "tag_cache": "cachexport.api",
    "touch_cache": "cachexport.api",
    "verify_cache": "cachexport.api",
    "verify_names": "cachexport.api",
}

__all__ = [
    "Answer",
    "BlobSource",
    "CacheChains",
    "CacheLink",
    "CacheRecord",
    "CacheResult",
    "CachexportError",
    "Descriptor",
    "Digest",
    "Event",
    "Exporter",
    "MemoryContent",
    "Remote",
    "Timestamp",
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
    "load_cache",
    "merge_cache",
    "open_source",
    "open_targets",
    "prune_caches",
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
