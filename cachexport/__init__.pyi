__version__: str

from .api.builds import (
    build as build,
)
from .api.caches import (
    Answer as Answer,
)
from .api.caches import (
    cache_usage as cache_usage,
)
from .api.caches import (
    check_cache as check_cache,
)
from .api.caches import (
    compact_cache as compact_cache,
)
from .api.caches import (
    copy_cache as copy_cache,
)
from .api.caches import (
    diff_caches as diff_caches,
)
from .api.caches import (
    explain_record as explain_record,
)
from .api.caches import (
    export_cache as export_cache,
)
from .api.caches import (
    import_cache as import_cache,
)
from .api.caches import (
    load_cache as load_cache,
)
from .api.caches import (
    merge_cache as merge_cache,
)
from .api.caches import (
    report_caches as report_caches,
)
from .api.caches import (
    verify_cache as verify_cache,
)
from .api.images import (
    append_image as append_image,
)
from .api.images import (
    image_puller as image_puller,
)
from .api.images import (
    open_image as open_image,
)
from .api.images import (
    output_image as output_image,
)
from .api.images import (
    pull_image as pull_image,
)
from .api.images import (
    push_image as push_image,
)
from .api.names import (
    copy_names as copy_names,
)
from .api.names import (
    list_names as list_names,
)
from .api.names import (
    remove_names as remove_names,
)
from .api.names import (
    repair_names as repair_names,
)
from .api.names import (
    tag_cache as tag_cache,
)
from .api.names import (
    touch_cache as touch_cache,
)
from .api.names import (
    verify_names as verify_names,
)
from .api.places import (
    lifecycle_rules as lifecycle_rules,
)
from .api.places import (
    prune_caches as prune_caches,
)
from .content.memory import (
    MemoryContent as MemoryContent,
)
from .content.progress import (
    Event as Event,
)
from .contract.discovery import (
    list_plugins as list_plugins,
)
from .contract.opening import (
    open_source as open_source,
)
from .contract.opening import (
    open_targets as open_targets,
)
from .errors import (
    CachexportError as CachexportError,
)
from .images.builder.classic import (
    ClassicBuilder as ClassicBuilder,
)
from .images.builder.classic import (
    ClassicImage as ClassicImage,
)
from .images.builder.classic import (
    ReleasableLayer as ReleasableLayer,
)
from .images.builder.classic import (
    WritableLayer as WritableLayer,
)
from .images.builder.snapshots import (
    Snapshots as Snapshots,
)
from .images.distribution import (
    Puller as Puller,
)
from .images.distribution import (
    PullPolicy as PullPolicy,
)
from .images.exporter import (
    BuildResult as BuildResult,
)
from .images.exporter import (
    ImageExporter as ImageExporter,
)
from .images.store import (
    Store as Store,
)
from .images.stored import (
    load_archive as load_archive,
)
from .insight.report.page import (
    render_report as render_report,
)
from .model.chains import (
    BlobSource as BlobSource,
)
from .model.chains import (
    CacheChains as CacheChains,
)
from .model.chains import (
    CacheLink as CacheLink,
)
from .model.chains import (
    CacheRecord as CacheRecord,
)
from .model.chains import (
    CacheResult as CacheResult,
)
from .model.chains import (
    Remote as Remote,
)
from .model.envelope.inline import (
    encode_inline as encode_inline,
)
from .oci.descriptor import (
    Descriptor as Descriptor,
)
from .oci.digest import (
    Digest as Digest,
)
from .oci.platform import (
    parse_platform as parse_platform,
)
from .oci.timestamp import (
    Timestamp as Timestamp,
)
from .transfer.exporter import (
    Exporter as Exporter,
)
