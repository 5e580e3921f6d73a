"""The commands whose output is kept, in groups; see test_golden.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from golden.exports import EXPORTS
from golden.images import IMAGES
from golden.preparing import (
    aged,
    changed,
    copied,
    damaged,
    gone,
    have,
    longer,
    written,
)
from golden.transcript import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

# Verbs that begin with `image` are asked in the same way.
VERBS = (
    *("export", "merge", "tag", "ls", "inspect", "du", "report", "diff", "explain", "verify"),
    *("assert", "repair", "compact", "touch", "rm", "prune", "image", "serve", "run"),
    *("lifecycle", "doctor", "plugins", "completion"),
)
IMAGE_VERBS = ("save", "load", "pull", "push", "append", "ls", "inspect", "rm", "prune")

BLOBS = "blobs/sha256"
LAYER = f"{BLOBS}/6188e3cf30dbc5658ccf95b85b0b464c486bb1d6ed25e3fb937543349ff5b2c0"
OTHER_LAYER = f"{BLOBS}/d0a61a53713b8a209e80b10ecc81af9ee107f00393063a0f3d07e9811763c2de"
CONFIG = f"{BLOBS}/cd474a333e0028c78118add2d934477b7722a89e344ebdad4ce831235075fb2f"
MANIFEST = f"{BLOBS}/f872c5a9944f5ab15a8300546db2bfe54ce46c0ccccc62d186f6c8f98d5ca445"
"""Of the cache `max`."""
RECORDS = ("060e17997f93", "0dd0783ddd2f", "0172a58a37d8", "99dbffa949a6")
"""A root, the leaf, one with another root for its input, and a root without a result."""


def each(command: str, *values: str) -> Iterator[str]:
    """Give a command once for each value, which takes the place of `{}`."""
    for value in values:
        yield command.replace("{}", value)


def place(*names: str) -> Iterator[str]:
    """Give the commands that write these caches into one directory, under their names."""
    for name in names:
        yield (
            f"export --progress quiet --cache-from type=local,src={name} "
            f"--cache-to type=local,dest=place,tag={name}"
        )


PLACE = (
    have("max", "min", "multi-both"),
    *place("max", "min", "multi-both"),
    aged("place", 5),
    aged(f"place/{MANIFEST}", 20),
)

HELP = (
    Group(
        "help",
        (
            "--version",
            "--help",
            "-h",
            *each("{} --help", *VERBS),
            *each("image {} --help", *IMAGE_VERBS),
        ),
    ),
    Group(
        "plugins",
        (
            "plugins",
            *each("plugins {}", "local", "registry", "s3"),
            "plugins --format json",
            "plugins warehouse",
            "plugins lokal --format json",
        ),
    ),
    Group(
        "completion",
        (
            *each("completion {}", "bash", "zsh", "fish", "ksh"),
            'COMP_WORDS="cachexport " COMP_CWORD=1 _CACHEXPORT_COMPLETE=bash_complete',
            'COMP_WORDS="cachexport in" COMP_CWORD=1 _CACHEXPORT_COMPLETE=bash_complete',
            'COMP_WORDS="cachexport du --" COMP_CWORD=2 _CACHEXPORT_COMPLETE=zsh_complete',
            'COMP_WORDS="cachexport du --by" COMP_CWORD="" _CACHEXPORT_COMPLETE=fish_complete',
        ),
    ),
    Group(
        "usage",
        (
            "",
            "inspec",
            "warehouse",
            "image sav",
            "inspect",
            "inspect a b",
            "inspect type=local,src=x --format yaml",
            "inspect type=local,src=x --limit -1",
            "export --cache-from type=local,src=x",
            "export --cache-from a --cache-to b --threads 0",
            "export --cache-from a --cache-to b --progress loud",
            "du",
            "du type=local,src=x --by size",
            "explain type=local,src=x",
            "report type=local,src=x",
            "assert type=local,src=x",
            "assert type=local,src=x --max-shrink 30%",
            "assert type=local,src=x --max-shrink x --vs type=local,src=x",
            "prune",
            "prune type=local,src=x --max-age yesterday",
            "prune type=local,src=x --max-bytes lots",
            "prune type=local,src=x --grace 1",
            "prune type=local,src=x --yes --dry-run",
            "compact type=local,src=x --max-config-bytes 1XB",
            "lifecycle type=s3,bucket=x",
            "lifecycle type=local,src=x --days 3",
            "tag type=local,src=x",
            "merge type=local,src=x",
            "repair",
        ),
    ),
)

LOOK = (
    Group(
        "inspect",
        (
            have("max", "min", "max-zstd", "max-uncompressed", "max-oci-index", "copy-link"),
            have("max-docker-list", "multi-both", "multi-amd64", "variant-mix", "inline-image.tar"),
            *each(
                "inspect type=local,src={}",
                *("max", "min", "max-zstd", "max-uncompressed", "max-oci-index"),
                *("max-docker-list", "multi-both", "variant-mix", "inline-image.tar"),
            ),
            *each("inspect type=local,src={} --format tree", "max", "multi-both", "copy-link"),
            *each("inspect type=local,src={} --format dot", "max", "copy-link"),
            "inspect type=local,src=max --limit 3",
            "inspect type=local,src=max --limit 0",
            "inspect type=local,src=multi-amd64,tag=latest --limit 1",
            f"inspect type=local,src=max,digest=sha256:{MANIFEST[13:]} --limit 1",
        ),
    ),
    Group(
        "inspect-json",
        (
            have("multi-both", "max-oci-index", "copy-link-inline-image.tar"),
            *each(
                "inspect type=local,src={} --format json",
                *("multi-both", "max-oci-index", "copy-link-inline-image.tar"),
            ),
        ),
    ),
    Group(
        "wide",
        (
            have("wide"),
            "inspect type=local,src=wide --limit 5",
            "verify type=local,src=wide --progress quiet",
            "du type=local,src=wide --progress quiet",
            "compact type=local,src=wide --max-config-bytes 64KiB --to type=local,dest=small "
            "--progress quiet",
            "inspect type=local,src=small --limit 2",
            "show small/index.json",
            "compact type=local,src=wide --max-layers 10 --dry-run --format json --progress quiet",
            "merge type=local,src=wide --to type=local,dest=merged --progress quiet",
            "show merged/index.json",
        ),
    ),
    Group(
        "ls",
        (
            *PLACE,
            have("copy-link", "inline-image.tar"),
            "ls type=local,src=place",
            "ls type=local,src=place --format json",
            "ls type=local,src=place --names m*n",
            "ls type=local,src=place --names none",
            "ls type=local,dest=place,tag=min",
            "ls type=local,src=copy-link",
            "ls type=local,src=inline-image.tar",
            "ls type=local,src=none",
            gone(f"place/{MANIFEST}"),
            "ls type=local,src=place",
            "ls type=local,src=place --format json --names max",
        ),
    ),
    Group(
        "du",
        (
            *PLACE,
            have("max-src-changed"),
            "du type=local,src=max --progress quiet",
            "du type=local,src=max type=local,src=max-src-changed type=local,src=none",
            "du type=local,src=place,tag=m* --progress quiet",
            *each("du type=local,src=max --by {} --limit 4 --progress quiet", "layer", "record"),
            "du type=local,src=max type=local,src=min --by record --limit 3 --progress quiet",
            "du type=local,src=min type=local,src=max --format json --progress quiet",
            "du type=local,src=none",
        ),
    ),
    Group(
        "diff",
        (
            have("max", "max-src-changed", "min", "multi-amd64", "multi-arm64"),
            "diff type=local,src=max type=local,src=max",
            "diff type=local,src=max type=local,src=max-src-changed",
            "diff type=local,src=max-src-changed type=local,src=max --exit-code",
            "diff type=local,src=max type=local,src=min --limit 2",
            "diff type=local,src=multi-amd64 type=local,src=multi-arm64",
            "diff type=local,src=max type=local,src=max-src-changed --format json",
            "diff type=local,src=max type=local,src=max --format json --exit-code",
            "diff type=local,src=max type=local,src=none",
        ),
    ),
    Group(
        "explain",
        (
            have("max", "min", "copy-link"),
            *each("explain type=local,src=max --digest {}", *RECORDS),
            *each("explain type=local,src=max --digest {} --format json", *RECORDS[1:2]),
            "explain type=local,src=min --digest sha256:0dd0783d",
            *each("explain type=local,src=max --digest {}", "0", "ffff", "no-digest", "''"),
            gone(f"max/{LAYER}"),
            longer(f"max/{OTHER_LAYER}"),
            *each("explain type=local,src=max --digest {}", *RECORDS[:2]),
            f"explain type=local,src=max --digest {RECORDS[0]} --format json",
        ),
    ),
    Group(
        "report",
        (
            have("max", "multi-both", "copy-link"),
            "SOURCE_DATE_EPOCH=1795478400 report type=local,src=max -o max.html --progress quiet",
            "words max.html",
            "SOURCE_DATE_EPOCH=1795478400 report type=local,src=multi-both type=local,src=none "
            "type=local,src=copy-link -o several.html --deep --progress quiet",
            "words several.html",
            damaged(f"max/{LAYER}"),
            "SOURCE_DATE_EPOCH=0 report type=local,src=max -o deep.html --deep --progress quiet",
            "words deep.html",
            "SOURCE_DATE_EPOCH=today report type=local,src=max -o x.html",
            "report type=local,src=none -o x.html",
            "report type=local,src=max -o none/x.html",
        ),
    ),
)

KEEP = (
    Group(
        "verify",
        (
            have("max", "min", "max-uncompressed", "copy-link", "inline-image.tar", "variant-mix"),
            "verify type=local,src=max",
            *each(
                "verify type=local,src={} --progress quiet --deep",
                *("max", "min", "max-uncompressed", "copy-link", "inline-image.tar", "variant-mix"),
            ),
            "verify type=local,src=max --format json --progress quiet",
            "verify type=local,src=max --names * --progress quiet",
            "verify type=local,src=max --names none --progress quiet",
            "verify type=local,src=none",
            damaged(f"max/{LAYER}"),
            "verify type=local,src=max --progress quiet",
            "verify type=local,src=max --deep --progress quiet",
            gone(f"max/{LAYER}"),
            longer(f"max/{OTHER_LAYER}"),
            "verify type=local,src=max --progress quiet",
            "verify type=local,src=max --deep --format json --progress quiet",
            damaged(f"max/{CONFIG}"),
            "verify type=local,src=max --progress quiet",
            "verify type=local,src=max --names * --format json --progress quiet",
            gone(f"max/{MANIFEST}"),
            "verify type=local,src=max --progress quiet",
        ),
    ),
    Group(
        "assert",
        (
            have("max", "min", "max-src-changed"),
            "assert type=local,src=max --min-records 16 --min-results 10",
            "assert type=local,src=max --min-records 17 --min-results 11",
            "assert type=local,src=min --max-shrink 30% --vs type=local,src=max",
            "assert type=local,src=min --max-shrink 60% --vs type=local,src=max --format json",
            "assert type=local,src=min --max-shrink 30% --vs type=local,src=max --format json",
            "assert type=local,src=max --max-shrink 0% --vs type=local,src=none",
            "assert type=local,src=none --min-records 1",
        ),
    ),
    Group(
        "repair",
        (
            *PLACE,
            "repair type=local,src=place,tag=max --progress quiet",
            damaged(f"place/{LAYER}"),
            gone(f"place/{OTHER_LAYER}"),
            copied("place", "other"),
            copied("place", "third"),
            "repair type=local,src=place,tag=max --dry-run --progress quiet",
            "repair type=local,src=place --names * --dry-run --deep --format json --progress quiet",
            "repair type=local,src=place --names m?? --deep --progress quiet",
            "listing place",
            "show place/index.json",
            "repair type=local,src=place --names * --progress quiet --format json",
            "repair type=local,src=other,tag=max --deep --from type=local,src=max --progress quiet",
            damaged(f"third/{CONFIG}"),
            "repair type=local,src=third --names * --progress quiet",
            "repair type=local,src=third --names * --progress quiet --drop-damaged --dry-run",
            "repair type=local,src=third --names * --progress quiet --drop-damaged",
            "show third/index.json",
            "repair type=local,src=third,tag=none",
        ),
    ),
    Group(
        "compact",
        (
            have("max", "max-src-changed", "multi-both", "inline-image.tar"),
            "compact type=local,src=max --dry-run",
            "compact type=local,src=max --max-layers 4 --dry-run --progress quiet",
            "compact type=local,src=max --max-layers 4 --dry-run --format json --progress quiet",
            "compact type=local,src=max --max-layers 6 --to type=local,dest=small --progress quiet",
            "listing small",
            "show small/index.json",
            "inspect type=local,src=small --format tree",
            "compact type=local,dest=max-src-changed --max-layers 5 --progress quiet",
            "listing max-src-changed",
            "compact type=local,src=multi-both --max-config-bytes 2kB --progress quiet",
            "compact type=local,src=multi-both --max-config-bytes 10 --progress quiet",
            "compact type=local,src=inline-image.tar --max-layers 2 --progress quiet",
            "compact type=local,src=none",
        ),
    ),
    Group(
        "names",
        (
            *PLACE,
            "tag type=local,src=place,tag=min v1 v2 max",
            "show place/index.json",
            "tag --progress quiet type=local,src=place,tag=none v3",
            aged("place", 5),
            "ls type=local,src=place",
            "rm type=local,src=place,tag=v* --dry-run",
            "rm type=local,src=place,tag=v*",
            "rm type=local,src=place,tag=v1",
            "rm type=local,src=place,tag=multi-both",
            "rm type=local,src=place",
            "listing place",
            "touch type=local,src=place,tag=max",
            "touch type=local,src=place,tag=m*",
            "touch type=local,src=place,tag=none",
            "touch type=registry,ref=127.0.0.1:1/x,retries=1",
        ),
    ),
    Group(
        "prune",
        (
            *PLACE,
            aged(f"place/{MANIFEST}", 100),
            "prune type=local,src=place --progress quiet",
            "prune type=local,src=place",
            "prune type=local,src=place --keep-last 1 --grace 0s --progress quiet",
            "prune type=local,src=place --max-age 2d --grace 0s --progress quiet --format json",
            "prune type=local,src=place --max-bytes 8kB --keep-name m*x --progress quiet",
            "prune type=local,src=place --keep-last 1 --max-age 3d --keep-name max --images "
            "--grace 0s --dry-run --progress quiet",
            "prune type=local,src=place --max-age 2d --grace 3h --yes --progress quiet",
            "prune type=local,src=place --grace 0s --yes --format json --progress quiet",
            "listing place",
            "prune type=local,src=place --keep-last 0 --grace 0s --yes --progress quiet",
            "listing place",
            "prune type=local,src=none",
        ),
    ),
)

SET_UP = (
    Group(
        "doctor",
        (
            have("max", "inline-image.tar"),
            *each("doctor type=local,{}", "dest=new", "dest=max", "src=max,tag=other", "src=none"),
            "doctor type=local,dest=max --read-only",
            "doctor type=local,dest=new --format json",
            "doctor type=local,src=inline-image.tar --format json",
            written("file", "no directory"),
            "doctor type=local,dest=file",
            "doctor type=local,dest=file --format json",
            damaged(f"max/{CONFIG}"),
            "doctor type=local,src=max",
            changed("max/oci-layout", "1.0.0", "9.0.0"),
            "doctor type=local,dest=max",
            "doctor type=local",
            "listing .",
        ),
    ),
    Group(
        "gateway",
        (
            "run --print --cache-to type=local,dest=c -- docker buildx build .",
            "run --print --cache-from type=local,src=c --cache-to type=local,dest=c "
            "-- buildctl build --frontend dockerfile.v0",
            "run --print --cache-to type=local,dest=c -- docker build .",
            "run --print --cache-to type=local,dest=c --form docker-list -- podman build .",
            "run --cache-to type=local,dest=c -- make",
            "run -- docker buildx build .",
            "run --cache-to type=local,dest=c",
            "run --cache-to type=local,dest=c --listen nowhere -- docker buildx build .",
            "serve",
            "serve --store type=local,dest=c --read-only --allow-push x",
            "serve --store type=local,dest=c --listen nowhere",
            "serve --store type=local,dest=c --form tar",
            "serve --store type=local,dest=c --tls-key x",
            "serve --store type=local,dest=c --token-file none",
            "serve --store type=warehouse",
            "serve --store type=local",
        ),
    ),
    Group(
        "specs",
        (
            have("max"),
            *each(
                "inspect {}",
                *("''", ",", "type=", "type=warehouse", "type=local", "type=lokal,src=x"),
                *("type=local,src=", "type=local,src=max,colour=red", "type=local,scr=max"),
                *("type=local,src=max,src=min", "type=local,src=max,tag=", "./max"),
                *("type=local,src=max,digest=sha256:zz", "type=local,src=max,digest=md5:00"),
                f"type=local,src=max,digest=sha256:{'0' * 64}",
                *("type=local,src=max,tag=none", "type=local,src=none", "'type=local,\"src=max'"),
                *("type=local,dest=max", "type=registry", "type=registry,ref=x/UPPER:y"),
                *("type=registry,ref=x,registry.insecure=perhaps", "type=s3", "type=s3,bucket=-"),
                *("type=s3,bucket=b,digest=x", "type=s3,bucket=b,access_key_id=x"),
                *("type=s3,bucket=b,retry_mode=never", "type=s3,bucket=b,endpoint_url=nowhere"),
                "type=s3,bucket=b,anonymous=true,profile=x",
            ),
            *each(
                "export --cache-from type=local,src=max --cache-to type=local,{}",
                *("mode=max", "dest=", "dest=x,mode=med", "dest=x,compression=lz4"),
                *("dest=x,compression=estargz", "dest=x,compression=zstd,compression-level=99"),
                *("dest=x,compression-level=fast", "dest=x,image-manifest=perhaps"),
                *("dest=x,image-manifest=true,oci-mediatypes=false", "dest=x,on-oversize=panic"),
                *("dest=x,imagemanifest=true", "dest=x,tag=", "dest=x,ignore-error=2"),
            ),
            "listing .",
        ),
    ),
    Group(
        "damage",
        (
            have("max", "max-oci-index", "inline-image.tar", "s3-bucket", "docker-archive.tar"),
            *each("inspect type=local,src={}", "s3-bucket", "docker-archive.tar"),
            written("no-index/oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
            *each("{} type=local,src=no-index", "inspect", "ls"),
            *(
                step
                for name, text in (
                    ("bad-json", "{"),
                    ("no-object", "[]"),
                    ("empty", ""),
                    ("bad-digest", '{"manifests":[{"digest":"sha256:zz"}]}'),
                    ("bad-size", f'{{"manifests":[{{"digest":"sha256:{"0" * 64}","size":"1"}}]}}'),
                    ("twice", '{"manifests":[],"manifests":[]}'),
                )
                for step in (
                    written(f"{name}/oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
                    written(f"{name}/index.json", text),
                    f"inspect type=local,src={name}",
                )
            ),
            *each("ls type=local,src={}", "bad-json", "twice"),
            written("text.tar", "no archive"),
            "inspect type=local,src=text.tar",
            changed(f"max-oci-index/{CONFIG}", '"layers"', '"lagers"'),
            "inspect type=local,src=max-oci-index",
            "export --cache-from type=local,src=max-oci-index --cache-to type=local,dest=x",
            damaged(f"max/{LAYER}"),
            "inspect type=local,src=max --limit 1",
            "export --progress quiet --cache-from type=local,src=max --cache-to type=local,dest=x",
            "export --progress quiet --cache-from type=local,src=max "
            "--cache-to type=local,dest=x,ignore-error=true",
            gone(f"max/{LAYER}"),
            "export --progress quiet --cache-from type=local,src=max --cache-to type=local,dest=x",
            "merge --progress quiet type=local,src=max --to type=local,dest=without",
            "listing without",
            damaged(f"max/{MANIFEST}"),
            *each("{} type=local,src=max", "inspect", "verify --progress quiet", "ls", "touch"),
            "prune type=local,src=max --keep-last 1 --yes --progress quiet",
        ),
    ),
)

GROUPS: tuple[Group, ...] = (*HELP, *LOOK, *KEEP, *SET_UP, *EXPORTS, *IMAGES)
