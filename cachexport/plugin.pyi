from .backends.objects.attrs import (
    ObjectExport as ObjectExport,
)
from .backends.objects.attrs import (
    ObjectImport as ObjectImport,
)
from .backends.objects.attrs import (
    ObjectNames as ObjectNames,
)
from .backends.objects.attrs import (
    StoreExport as StoreExport,
)
from .backends.objects.attrs import (
    StoreImport as StoreImport,
)
from .backends.objects.backend import (
    ObjectBackend as ObjectBackend,
)
from .backends.objects.backend import (
    Store as Store,
)
from .backends.objects.client import (
    ABSENT as ABSENT,
)
from .backends.objects.client import (
    ObjectClient as ObjectClient,
)
from .backends.objects.client import (
    Page as Page,
)
from .backends.objects.client import (
    Stored as Stored,
)
from .backends.objects.client import (
    landed as landed,
)
from .backends.objects.layout import (
    Blobs as Blobs,
)
from .backends.objects.layout import (
    Keys as Keys,
)
from .backends.objects.place import (
    AgelessPlace as AgelessPlace,
)
from .backends.objects.place import (
    ListedPlace as ListedPlace,
)
from .backends.objects.place import (
    ObjectPlace as ObjectPlace,
)
from .backends.objects.source import (
    ObjectSource as ObjectSource,
)
from .backends.objects.target import (
    ObjectTarget as ObjectTarget,
)
from .content.clock import (
    Clock as Clock,
)
from .content.clock import (
    clock as clock,
)
from .content.clock import (
    using_clock as using_clock,
)
from .content.parallel import (
    map_parallel as map_parallel,
)
from .content.protocols import (
    Composite as Composite,
)
from .content.protocols import (
    Distributed as Distributed,
)
from .content.protocols import (
    Info as Info,
)
from .content.protocols import (
    InfoProvider as InfoProvider,
)
from .content.protocols import (
    Ingester as Ingester,
)
from .content.protocols import (
    Mounter as Mounter,
)
from .content.protocols import (
    Placed as Placed,
)
from .content.protocols import (
    Provider as Provider,
)
from .content.protocols import (
    RangedProvider as RangedProvider,
)
from .content.protocols import (
    Reader as Reader,
)
from .content.protocols import (
    Retrying as Retrying,
)
from .content.protocols import (
    SizeProvider as SizeProvider,
)
from .content.protocols import (
    Staged as Staged,
)
from .content.protocols import (
    Stager as Stager,
)
from .content.retry import (
    ResumingReader as ResumingReader,
)
from .content.retry import (
    Retry as Retry,
)
from .content.retry import (
    retry as retry,
)
from .content.verify import (
    BLOCK as BLOCK,
)
from .content.verify import (
    open_verified as open_verified,
)
from .content.verify import (
    read_blob as read_blob,
)
from .contract.attributes import (
    attribute as attribute,
)
from .contract.attributes import (
    boolean as boolean,
)
from .contract.attributes import (
    flag as flag,
)
from .contract.attributes import (
    integer as integer,
)
from .contract.attributes import (
    known_attributes as known_attributes,
)
from .contract.attributes import (
    one_of as one_of,
)
from .contract.attributes import (
    path as path,
)
from .contract.attributes import (
    read_attributes as read_attributes,
)
from .contract.backend import (
    Backend as Backend,
)
from .contract.backend import (
    Described as Described,
)
from .contract.backend import (
    ManyNamed as ManyNamed,
)
from .contract.backend import (
    Prefetching as Prefetching,
)
from .contract.backend import (
    Source as Source,
)
from .contract.backend import (
    Target as Target,
)
from .contract.checks import (
    Check as Check,
)
from .contract.checks import (
    Finding as Finding,
)
from .contract.checks import (
    Outcome as Outcome,
)
from .contract.checks import (
    Probe as Probe,
)
from .contract.checks import (
    Probing as Probing,
)
from .contract.export import (
    CommonExport as CommonExport,
)
from .contract.images import (
    ImageBackend as ImageBackend,
)
from .contract.images import (
    ImageSource as ImageSource,
)
from .contract.images import (
    ImageTarget as ImageTarget,
)
from .contract.place import (
    Content as Content,
)
from .contract.place import (
    Contents as Contents,
)
from .contract.place import (
    Entry as Entry,
)
from .contract.place import (
    Hosting as Hosting,
)
from .contract.place import (
    Needs as Needs,
)
from .contract.place import (
    Place as Place,
)
from .contract.place import (
    PlaceBackend as PlaceBackend,
)
from .contract.place import (
    StoredBlob as StoredBlob,
)
from .contract.place import (
    Sweepable as Sweepable,
)
from .contract.place import (
    Unprunable as Unprunable,
)
from .contract.place import (
    Written as Written,
)
from .contract.reading import (
    METADATA_LIMIT as METADATA_LIMIT,
)
from .contract.reading import (
    Current as Current,
)
from .contract.reading import (
    read_caches as read_caches,
)
from .contract.reading import (
    read_current as read_current,
)
from .contract.spec import (
    Spec as Spec,
)
from .contract.units import (
    count as count,
)
from .contract.units import (
    duration as duration,
)
from .contract.units import (
    names as names,
)
from .contract.units import (
    size as size,
)
from .model.envelope.cache import (
    Cache as Cache,
)
from .model.envelope.cache import (
    WrappedCache as WrappedCache,
)
from .oci.descriptor import (
    Descriptor as Descriptor,
)
from .oci.digest import (
    Digest as Digest,
)
