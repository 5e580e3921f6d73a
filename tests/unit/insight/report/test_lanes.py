"""Graphs are drawn without records on each other, inputs to the left, and in short lanes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cachexport.insight.report.drawings import lay_out


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Give the parents of records, these in no special order."""
    size = draw(st.integers(0, 25))
    names = draw(st.permutations(range(size)))
    parents: list[list[int]] = [[] for _ in range(size)]
    for number in range(1, size):
        earlier = draw(st.lists(st.integers(0, number - 1), max_size=4))
        parents[names[number]] = [names[parent] for parent in earlier]
    return parents


@given(graphs())
def test_every_record_has_a_place_of_its_own_to_the_right_of_its_inputs(
    parents: list[list[int]],
) -> None:
    lanes = lay_out(parents)
    assert len(set(lanes.places)) == len(lanes.places) == len(parents)
    for number, (column, row) in enumerate(lanes.places):
        assert 0 <= column < lanes.columns
        assert 0 <= row < lanes.rows
        assert all(lanes.places[parent][0] < column for parent in parents[number])


def test_a_chain_is_a_straight_line() -> None:
    lanes = lay_out([[1], [2], []])
    assert lanes.places == ((2, 0), (1, 0), (0, 0))
    assert (lanes.columns, lanes.rows) == (3, 1)


def test_the_longer_branch_goes_straight_on() -> None:
    lanes = lay_out([[], [0], [0], [2], [3]])
    assert {lanes.places[number][1] for number in (0, 2, 3, 4)} == {0}
    assert lanes.places[1] == (1, 1)


def test_branches_that_do_not_meet_share_the_nearest_row() -> None:
    # 0 to 2 go on to 6 and 7; 5 branches off 0, and 3 with 4 off 2.
    lanes = lay_out([[], [0], [1], [2], [3], [0], [2], [6]])
    assert [row for _, row in lanes.places] == [0, 0, 0, 1, 1, 1, 0, 0]


def test_branches_that_meet_lie_on_either_side() -> None:
    lanes = lay_out([[], [0], [1], [2], [0], [0]])
    assert [row for _, row in lanes.places] == [1, 1, 1, 1, 0, 2]


def test_what_only_feeds_a_late_record_is_drawn_beside_it() -> None:
    lanes = lay_out([[], [0], [1], [2, 4], []])
    assert lanes.places[4][0] == lanes.places[3][0] - 1


def test_nothing() -> None:
    lanes = lay_out([])
    assert (lanes.places, lanes.columns, lanes.rows) == ((), 0, 0)


def test_deep_and_wide_graphs() -> None:
    deep = [[], *([number] for number in range(20_000))]
    wide = [[], *([0] for _ in range(5_000))]
    assert lay_out(deep).rows == 1
    assert lay_out(wide).rows == 5_000
