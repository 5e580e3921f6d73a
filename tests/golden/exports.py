"""Exports and merges between directories, each in every form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from golden.preparing import have, written
from golden.transcript import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUIET = "export --progress quiet"


def export(source: str, dest: str, attrs: str = "", options: str = "") -> Iterator[str]:
    """Give the command that exports one cache to a directory, and a listing of what it wrote."""
    to = f"type=local,dest={dest}" + (attrs and f",{attrs}")
    more = options and f" {options}"
    yield f"{_QUIET} --cache-from type=local,src={source} --cache-to {to}{more}"
    yield f"listing {dest}"


EXPORTS = (
    Group(
        "export-forms",
        (
            have("max", "min", "max-oci-index", "max-docker-list", "multi-both", "copy-link"),
            have("inline-image.tar", "variant-mix", "max-zstd"),
            *export("max", "same"),
            "show same/index.json",
            "show same/oci-layout",
            *export("max", "tagged", "tag=v1"),
            "show tagged/index.json",
            *export("max", "min-mode", "mode=min"),
            *export("max", "max-mode", "mode=max"),
            *export("max", "index", "image-manifest=false"),
            *export("max", "docker", "image-manifest=false,oci-mediatypes=false"),
            *export("max", "docker-alone", "oci-mediatypes=false"),
            *export("max-oci-index", "image", "image-manifest=true"),
            *export("max-docker-list", "oci", "oci-mediatypes=true"),
            *export("max-docker-list", "list"),
            *export("inline-image.tar", "from-image"),
            *export("inline-image.tar", "from-image-max", "mode=max,image-manifest=false"),
            *export("copy-link", "linked", "mode=min"),
            *export("multi-both", "multi", "mode=min,image-manifest=false"),
            *export("variant-mix", "mixed", "mode=max,oci-mediatypes=true"),
        ),
    ),
    Group(
        "export-uncompressed",
        (
            have("max", "max-zstd", "max-uncompressed"),
            *export("max", "plain", "compression=uncompressed"),
            *export("max", "forced", "compression=uncompressed,force-compression=true"),
            *export("max-zstd", "from-zstd", "compression=uncompressed,force-compression=true"),
            *export("max-uncompressed", "kept", "force-compression=true"),
        ),
    ),
    Group(
        "export-compressed",
        (
            have("max", "max-zstd", "max-uncompressed"),
            *export("max", "zstd", "compression=zstd,force-compression=true"),
            *export("max-zstd", "gzip", "compression=gzip,force-compression=true"),
            *export(
                "max-uncompressed",
                "gzip-1",
                "compression=gzip,force-compression=true,compression-level=1",
            ),
            *export(
                "max-uncompressed",
                "zstd-19",
                "compression=zstd,force-compression=true,compression-level=19,mode=min",
            ),
        ),
        compresses=True,
    ),
    Group(
        "export-several",
        (
            have("max", "min", "multi-amd64", "multi-arm64", "max-src-changed"),
            # One directory, name by name.
            *export("max", "place", "tag=max"),
            *export("min", "place", "tag=min"),
            *export("max-src-changed", "place", "tag=max"),
            "show place/index.json",
            *export("min", "place", "tag=max,reset=true"),
            *export("multi-amd64", "both"),
            *export("multi-arm64", "both", "merge=true"),
            f"{_QUIET} --cache-from type=local,src=multi-amd64 "
            "--cache-from type=local,src=multi-arm64 --cache-from type=local,src=none "
            "--cache-to type=local,dest=one --cache-to type=local,dest=two,mode=min",
            "listing one",
            "listing two",
            f"{_QUIET} --cache-from type=local,src=place,tag=m* --cache-to type=local,dest=united",
            "listing united",
            f"{_QUIET} --all-names --cache-from type=local,src=place "
            "--cache-to type=local,dest=all",
            "listing all",
            "show all/index.json",
            f"{_QUIET} --all-names --names mi* --cache-from type=local,src=place "
            "--cache-to type=local,dest=some",
            "show some/index.json",
            f"{_QUIET} --names x --cache-from type=local,src=max --cache-to type=local,dest=x",
        ),
    ),
    Group(
        "export-answers",
        (
            have("max", "min"),
            "export --threads 1 --cache-from type=local,src=max --cache-to type=local,dest=plain",
            "export --threads 1 --progress rawjson --cache-from type=local,src=min "
            "--cache-to type=local,dest=raw",
            "export --threads 1 --cache-from type=local,src=max --cache-to type=local,dest=plain",
            f"{_QUIET} --cache-from type=local,src=max --cache-to type=local,dest=told "
            "--metadata-file answer.json",
            "show answer.json",
            f"{_QUIET} --cache-from type=local,src=max --cache-to type=local,dest=no "
            "--metadata-file no/such/answer.json",
            written("file", "x"),
            f"{_QUIET} --cache-from type=local,src=max --cache-to type=local,dest=file "
            "--cache-to type=local,dest=good --cache-to type=local,dest=file,ignore-error=true",
            "export --cache-from type=local,src=max,dest=x --cache-from type=local,src=none "
            "--cache-to type=local,dest=noted,src=y --progress quiet",
            "export --cache-from type=local,src=none --cache-from type=local,src=no "
            "--cache-to type=local,dest=x",
            "export --cache-from type=local,src=max --cache-to type=warehouse",
        ),
    ),
    Group(
        "merge",
        (
            have("multi-amd64", "multi-arm64", "multi-both", "max", "max-src-changed", "min"),
            have("inline-image.tar"),
            "merge --threads 1 type=local,src=multi-amd64 type=local,src=multi-arm64 "
            "--to type=local,dest=both",
            "listing both",
            "merge --progress quiet type=local,src=multi-arm64 type=local,src=multi-amd64 "
            "--to type=local,dest=turned --metadata-file answer.json",
            "listing turned",
            "show answer.json",
            "merge --progress quiet type=local,src=multi-both --to type=local,dest=alone",
            "listing alone",
            "diff type=local,src=both type=local,src=multi-both --exit-code",
            "merge --progress quiet type=local,src=max type=local,src=max-src-changed "
            "type=local,src=inline-image.tar type=local,src=none "
            "--to type=local,dest=all,image-manifest=false --to type=local,dest=min,mode=min",
            "listing all",
            "listing min",
            "merge type=local,src=none --to type=local,dest=x",
        ),
    ),
)
