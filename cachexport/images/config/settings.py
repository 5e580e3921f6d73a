"""The settings in an image's config with which it runs: command, variables, ports and so on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.oci import gojson, rawjson

_KEY = "config"
_TAKEN_AWAY = ("entrypoint", "cmd", "working_dir", "user", "stop_signal")
_EMPTY = ("null", '""', "[]", "{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Changes to an image's settings.

    `env`, `labels`, `exposed_ports` and `volumes` are added to what the image has, and replace what
    has the same name there. Any other setting stays as it is if None, and is removed if empty.
    """

    entrypoint: Sequence[str] | None = None
    cmd: Sequence[str] | None = None
    """If None, giving `entrypoint` removes the old command, as in a Dockerfile."""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    user: str | None = None
    exposed_ports: Sequence[str] = ()
    """Such as `80` or `53/udp`."""
    volumes: Sequence[str] = ()
    stop_signal: str | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInputError for a value of the wrong type or a bad variable name."""
        for name in ("entrypoint", "cmd", "exposed_ports", "volumes"):
            if isinstance(getattr(self, name), str):
                raise InvalidInputError(f"{name} is a list, as in {name}=['/bin/app', '-v']")
            if not all(isinstance(item, str) for item in getattr(self, name) or ()):
                raise InvalidInputError(f"{name} is a list of texts")
        for name in ("working_dir", "user", "stop_signal"):
            if not isinstance(getattr(self, name), str | None):
                raise InvalidInputError(f"{name} is a text, not {getattr(self, name)!r}")
        for name in ("env", "labels"):
            items = getattr(self, name).items()
            if not all(isinstance(text, str) for item in items for text in item):
                raise InvalidInputError(f"{name} has texts by name, as in {name}={{'A': 'b'}}")
        for name in self.env:
            if not name or "=" in name:
                raise InvalidInputError(f"{name!r} is no name of a variable")

    def __str__(self) -> str:
        """Give the changes in one line, for the image's history."""
        given = ((each.name, getattr(self, each.name)) for each in fields(self))
        return " ".join(
            f"{name}={_json(value)}"
            for name, value in given
            if value is not None and (value or name in _TAKEN_AWAY)
        )


def change_settings(config: bytes, settings: Settings) -> bytes:
    """Apply `settings` to a config. All else stays, unknown fields too; empty settings are dropped.

    Raises WireFormat for a damaged config.
    """
    members = rawjson.loads(config)
    try:
        found = _object(members.get(_KEY))
        changed = {**found, **_replaced(settings), **_extended(found, settings)}
    except WireFormat as error:
        raise error.under(_KEY) from None
    members[_KEY] = _text({key: text for key, text in changed.items() if text not in _EMPTY})
    return rawjson.dumps(members)


def working_dir(config: bytes) -> str:
    """Give the working directory of an image, by default `/`. Raises WireFormat."""
    found = gojson.fields(gojson.loads(config), frozenset({_KEY}), "").get(_KEY)
    inner = gojson.fields(found, frozenset({"WorkingDir"}), _KEY)
    return gojson.string(inner.get("WorkingDir"), "config.WorkingDir") or "/"


def _replaced(settings: Settings) -> dict[str, str]:
    cmd = [] if settings.entrypoint is not None and settings.cmd is None else settings.cmd
    wanted = {
        "Entrypoint": settings.entrypoint,
        "Cmd": cmd,
        "WorkingDir": settings.working_dir,
        "User": settings.user,
        "StopSignal": settings.stop_signal,
    }
    return {key: _json(value) for key, value in wanted.items() if value is not None}


def _extended(found: Mapping[str, str], settings: Settings) -> dict[str, str]:
    added = {
        "Labels": settings.labels,
        "ExposedPorts": {
            port if "/" in port else f"{port}/tcp": {} for port in settings.exposed_ports
        },
        "Volumes": {path: {} for path in settings.volumes},
    }
    extended = {
        key: _text(_object(found.get(key)) | {name: _json(value) for name, value in more.items()})
        for key, more in added.items()
        if more
    }
    if settings.env:
        extended["Env"] = _json(_env(found.get("Env", "null"), settings.env))
    return extended


def _env(text: str, more: Mapping[str, str]) -> list[str]:
    """Merge variables: those that the image has keep their place, new ones come last."""
    there = gojson.each(gojson.loads(_raw(text)), "Env", lambda item: gojson.string(item, ""))
    merged = {entry.partition("=")[0]: entry for entry in there}
    merged |= {name: f"{name}={value}" for name, value in more.items()}
    return list(merged.values())


def _object(text: str | None) -> dict[str, str]:
    return rawjson.loads(_raw(text)) if text not in (None, "null") else {}


def _raw(text: str | None) -> bytes:
    return (text or "").encode("utf-8", errors="surrogateescape")


def _text(members: Mapping[str, str]) -> str:
    return rawjson.dumps(members).decode("utf-8", errors="surrogateescape")


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return dict(value) if isinstance(value, Mapping) else list(value)
