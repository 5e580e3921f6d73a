from __future__ import annotations

import json
from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace
from typing import Annotated

import click
import pytest

from cachexport.cli.verbs import COMMANDS, DocumentedCommand, Verb
from cachexport.cli.views.document import Line, field_lines, filled, json_lines
from cachexport.oci.timestamp import Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    size: int
    from_: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    leaves: tuple[tuple[Leaf, ...], ...]
    positions: tuple[int, ...]
    best: Annotated[Leaf | None, "null or {}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    title: Annotated[str, "its name"]
    left: Branch
    right: Branch
    rest: Annotated[dict[str, str], Line("whatever else there is")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bush:
    long_name_of_twigs: tuple[Twig, ...]
    thing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Twig:
    made: str | None
    fault: str | None
    text: str
    number: int

    @classmethod
    def of(cls, item: SimpleNamespace) -> Twig:
        return filled(cls, item, number=item.position)


def test_the_help_lists_fields_in_their_order_and_what_they_hold_below() -> None:
    assert list(field_lines(Tree, 13)) == [
        "title (its name), left, right, rest",
        "left, right  leaves[][], positions, best (null or size, from)",
        "rest         whatever else there is",
    ]


def test_a_name_that_is_too_long_stands_above_its_fields() -> None:
    assert list(field_lines(Bush, 8)) == [
        "long_name_of_twigs[]",
        "        made, fault, text, number",
        "thing",
    ]


def test_a_long_list_is_wrapped_behind_its_name() -> None:
    row = make_dataclass("Row", [(f"name_{number}", int) for number in range(20)])
    wide = make_dataclass("Wide", [("items", tuple[row, ...])])  # type: ignore[valid-type]
    lines = list(field_lines(wide, 9))
    assert lines[0].startswith("items[]  name_0, name_1,")
    assert all(line.startswith(" " * 9) and len(line) <= 70 for line in lines[1:])
    assert " ".join(lines).split()[1:] == [f"name_{n}," for n in range(19)] + ["name_19"]


def test_documents_fill_themselves_and_become_json_in_the_order_of_their_fields() -> None:
    item = SimpleNamespace(made=Timestamp(0), fault="", text="", position=3)
    bush = filled(Bush, SimpleNamespace(thing=""), long_name_of_twigs=[item])
    found = json.loads("".join(json_lines(bush)))
    twig = {"made": "1970-01-01T00:00:00Z", "fault": None, "text": "", "number": 3}
    assert found == {"long_name_of_twigs": [twig], "thing": ""}
    assert list(found["long_name_of_twigs"][0]) == list(twig)
    leaf = filled(Leaf, SimpleNamespace(size=1, from_="x"))
    assert json.loads("".join(json_lines(leaf))) == {"size": 1, "from": "x"}


@pytest.mark.parametrize("verb", COMMANDS.values(), ids=lambda verb: f"{verb.package}.{verb.name}")
def test_every_verb_that_answers_json_lists_its_fields(verb: Verb) -> None:
    command = verb.load()
    formats = [p.type for p in command.params if p.name == "form"]
    answers_json = any(
        isinstance(kind, click.Choice) and "json" in kind.choices for kind in formats
    )
    assert isinstance(command, DocumentedCommand) == answers_json
