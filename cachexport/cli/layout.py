"""How help is laid out."""

from __future__ import annotations

from textwrap import dedent


def verbatim(text: str) -> str:
    """Give text for the end of a command's help, whose lines are not to be wrapped."""
    # A backspace at the head of a paragraph is click's way to say so.
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in dedent(text).strip().split("\n\n"))
