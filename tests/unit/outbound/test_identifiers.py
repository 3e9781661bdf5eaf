from __future__ import annotations

import itertools

from callwright.outbound.identifiers import Identifiers, RandomDigits
from callwright.values.ids import is_call_id, is_instance_id, is_service_reference


def identifiers() -> Identifiers:
    numbers = itertools.count(0xF0)
    return Identifiers(new_hex=lambda size: f"{next(numbers):0{2 * size}x}", clock=lambda: 1366641192.9, node=2)


def test_identifiers_have_the_documented_shapes() -> None:
    made = identifiers()
    reference, instance = made.reference(), made.instance()
    assert reference == "000000f0_2.1366641192.1"
    assert instance == "00000000000000f1.1"
    assert made.call(instance) == "00000000000000f1.1.242"
    assert is_service_reference(reference)
    assert is_instance_id(instance)
    assert is_call_id(made.call(instance))


def test_counters_tell_identifiers_apart_even_when_chance_does_not() -> None:
    made = Identifiers(new_hex=lambda size: "00" * size, clock=lambda: 0.0)
    assert len({made.reference() for _ in range(100)}) == 100
    assert len({made.instance() for _ in range(100)}) == 100
    assert len({made.call(made.instance()) for _ in range(100)}) == 100


def test_random_digits_are_as_many_as_asked_for_and_never_the_same() -> None:
    digits = RandomDigits()
    assert [len(digits(size)) for size in (4, 8)] == [8, 16]
    made = [digits(8) for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in made)
