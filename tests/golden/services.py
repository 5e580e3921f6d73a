"""Commands that need a server, which stands for `$SERVER`."""

from __future__ import annotations

from golden.preparing import have
from golden.transcript import Group

_AT = "type=s3,endpoint_url=http://$SERVER,prefix=team/"
_ALONE = "type=s3,endpoint_url=http://$SERVER,prefix=alone/"
_QUIET = "export --progress quiet"

SERVED = Group(
    "s3",
    (
        have("max", "min", "multi-amd64", "multi-arm64"),
        f"ls {_AT}",
        f"inspect {_AT}",
        f"{_QUIET} --cache-from type=local,src=max --cache-to {_AT},name=main;abc",
        f"{_QUIET} --cache-from type=local,src=min --cache-to {_AT},name=min,mode=min",
        f"{_QUIET} --cache-from type=local,src=multi-amd64 --cache-to {_AT},name=multi",
        f"{_QUIET} --cache-from type=local,src=multi-arm64 --cache-to {_AT},name=multi,merge=true",
        f"inspect {_AT},name=main --limit 2",
        f"inspect {_AT},name=multi --format tree",
        f"verify {_AT},name=main --deep --progress quiet",
        f"verify {_AT} --names * --format json --progress quiet",
        f"du {_AT},name=main {_AT},name=min --progress quiet",
        f"{_QUIET} --cache-from {_AT},name=main --cache-to type=local,dest=back",
        "listing back",
        f"{_QUIET} --cache-from {_AT},name=multi --cache-to type=local,dest=multi",
        "listing multi",
        f"tag {_AT},name=main v1 --progress quiet",
        f"touch {_AT},name=v1",
        f"rm {_AT},name=abc",
        f"rm {_AT},name=abc",
        f"repair {_AT},name=main --dry-run --progress quiet",
        f"compact {_AT},name=main --max-layers 4 --dry-run --progress quiet",
        # Of one name alone, for several are told in the order of their times, in whole seconds.
        f"{_QUIET} --cache-from type=local,src=max --cache-to {_ALONE},name=main",
        f"{_QUIET} --cache-from type=local,src=min --cache-to {_ALONE},name=main",
        f"ls {_ALONE} --format json",
        f"prune {_ALONE} --progress quiet --format json",
        f"prune {_ALONE} --keep-last 0 --grace 0s --yes --progress quiet",
        f"prune {_ALONE} --keep-last 0 --grace 25h --yes --format json --progress quiet",
        f"ls {_ALONE}",
        f"lifecycle {_AT} --days 30",
        f"lifecycle {_AT} --days 3 --apply",
        f"COLUMNS=250 doctor {_AT} --read-only",
        f"COLUMNS=250 doctor {_AT}",
        f"ls {_AT},bucket=none",
    ),
)

_REFUSING = "retry_max_attempts=1,endpoint_url=http://$SERVER"
REFUSING = Group(
    "refusals",
    (
        have("min"),
        *(
            f"inspect type=s3,bucket=status{status},{_REFUSING}"
            for status in (400, 403, 404, 412, 429, 500, 503)
        ),
        f"{_QUIET} --cache-from type=local,src=min --cache-to type=s3,bucket=status403,{_REFUSING}",
        f"{_QUIET} --cache-from type=local,src=min "
        f"--cache-to type=s3,bucket=status503,{_REFUSING},ignore-error=true",
        f"COLUMNS=250 doctor type=s3,bucket=status403,{_REFUSING}",
        "inspect type=s3,bucket=x,retry_max_attempts=1,endpoint_url=http://127.0.0.1:1",
    ),
)

_REF = "registry.insecure=true,ref=$SERVER/app"
HELD = Group(
    "registry",
    (
        have("max", "min", "multi-amd64", "multi-arm64", "docker-archive.tar"),
        f"inspect type=registry,{_REF}:main",
        f"{_QUIET} --cache-from type=local,src=max --cache-to type=registry,{_REF}:main",
        f"{_QUIET} --cache-from type=local,src=min "
        f"--cache-to type=registry,{_REF}:min,mode=min,image-manifest=false",
        f"{_QUIET} --cache-from type=local,src=multi-amd64 --cache-to type=registry,{_REF}:multi",
        f"{_QUIET} --cache-from type=local,src=multi-arm64 "
        f"--cache-to type=registry,{_REF}:multi,merge=true",
        f"inspect type=registry,{_REF}:main --limit 2",
        f"inspect type=registry,{_REF}:min --limit 2",
        f"verify type=registry,{_REF}:main --deep --progress quiet",
        f"ls type=registry,{_REF} --format json",
        f"{_QUIET} --cache-from type=registry,{_REF}:multi --cache-to type=local,dest=multi",
        "listing multi",
        f"{_QUIET} --cache-from type=registry,{_REF}:min --cache-to type=local,dest=back",
        "listing back",
        f"tag type=registry,{_REF}:main v1 --progress quiet",
        f"rm type=registry,{_REF}:v1",
        f"rm type=registry,{_REF}:m*",
        f"rm type=registry,{_REF}:none",
        f"prune type=registry,{_REF} --progress quiet --format json",
        f"touch type=registry,{_REF}:main",
        f"lifecycle type=registry,{_REF} --days 3",
        "image load docker-archive.tar --progress quiet",
        f"image push example/app:1 type=registry,{_REF}:image --progress quiet",
        f"image pull type=registry,{_REF}:image --name pulled:1 --progress quiet",
        f"{_QUIET} --cache-from type=local,src=max --cache-to type=registry,{_REF}:image",
        f"COLUMNS=250 doctor type=registry,{_REF}:new --read-only",
        f"COLUMNS=250 doctor type=registry,{_REF}:new",
    ),
)
