"""Boxes made disjoint: no point lost, none twice, and the same from any history."""

from __future__ import annotations

from itertools import combinations, product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.chance import examples
from vrouter.handlers.firewall import _icmp
from vrouter.model.boxes import Box, addresses_text, disjoint, numbers_text, of_network, union
from vrouter.model.values import network

EDGE = 7
intervals = st.tuples(st.integers(0, EDGE), st.integers(0, EDGE)).map(lambda pair: (min(pair), max(pair)))
boxes = st.lists(st.tuples(st.tuples(intervals, intervals, intervals), st.integers(0, 3)), max_size=7)
Boxes = list[tuple[Box, int]]
Point = tuple[int, ...]


def points(box: Box) -> set[Point]:
    return set(product(*(range(low, high + 1) for low, high in box)))


def covered(found: Boxes) -> set[Point]:
    return {point for box, _ in found for point in points(box)}


def assert_disjoint(found: Boxes) -> None:
    for (one, _), (other, _) in combinations(found, 2):
        assert any(high < low2 or high2 < low for (low, high), (low2, high2) in zip(one, other, strict=True))


@examples()
@given(boxes)
def test_a_union_covers_the_same_points_once(asked: Boxes) -> None:
    found = union(asked)
    assert_disjoint(found)
    assert covered(found) == covered(asked)


@examples()
@given(boxes)
def test_each_point_belongs_to_what_comes_first(asked: Boxes) -> None:
    found = disjoint(asked)
    assert_disjoint(found)
    assert covered(found) == covered(asked)
    for box, value in found:
        for point in points(box):
            assert value == next(value for box, value in asked if point in points(box))


@examples()
@given(boxes, st.randoms(use_true_random=False))
def test_a_union_does_not_depend_on_the_order(asked: Boxes, random: Random) -> None:
    shuffled = list(asked)
    random.shuffle(shuffled)
    assert {box for box, _ in union(shuffled)} == {box for box, _ in union(asked)}


@examples()
@given(boxes)
def test_what_is_disjoint_stays_as_it_is(asked: Boxes) -> None:
    found = union(asked)
    assert sorted(union(found)) == sorted(found)


@examples()
@given(st.integers(0, 65535), st.integers(0, 65535))
def test_icmp_types_and_codes_of_a_span(one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    ranges = [[tuple(map(int, text.split("-"))) for text in pair] for pair in _icmp(low, high)]
    found = [
        kind * 256 + code
        for kinds, codes in ranges
        for kind in range(kinds[0], kinds[-1] + 1)
        for code in range(codes[0], codes[-1] + 1)
    ]
    assert found == list(range(low, high + 1))


def test_atoms() -> None:
    assert addresses_text(of_network(network("10.1.1.7/24"))) == "10.1.1.0-10.1.1.255"
    assert addresses_text(of_network(network("10.1.1.7"))) == "10.1.1.7"
    assert (numbers_text((80, 80)), numbers_text((80, 81))) == ("80", "80-81")
