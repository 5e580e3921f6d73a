"""A request as it came, and the reply to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from email.message import Message


@dataclass(frozen=True)
class Request:
    """What a client sent; `headers` asks for no case."""

    method: str
    target: str
    headers: Message
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refusal(Exception):
    """An error as the distribution API words it."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message

    def reply(self) -> Reply:
        return json_reply({"errors": [{"code": self.code, "message": self.message}]}, self.status)


def json_reply(content: object, status: int = 200, **headers: str) -> Reply:
    kind = {"Content-Type": "application/json"}
    return Reply(status, kind | headers, json.dumps(content).encode())
