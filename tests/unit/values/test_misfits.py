from __future__ import annotations

import json
from enum import StrEnum

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from callwright.values.misfits import misfit


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    colour: Colour = Colour.RED


class Written(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    colour: Colour = Colour.RED
    other: Colour | UnsetType = msgspec.field(default=UNSET, name="else")
    inner: Inner | None = None
    numbers: list[int] = []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"name": 1}, ("name", "Expected `str`, got `int`")),
        ({"name": "a", "colour": "sky"}, ("colour", "'sky' is none of red, blue")),
        ({"name": "a", "else": "sky"}, ("else", "'sky' is none of red, blue")),
        ({"name": "a", "colour": 7}, ("colour", "Expected `str`, got `int`")),
        ({"name": "a", "inner": {"colour": "sky"}}, ("inner", "Invalid enum value 'sky'")),
        ({"name": "a", "numbers": [1, "b"]}, ("numbers", "Expected `int`, got `str`")),
        ({}, ("", "Object missing required field `name`")),
        ({"name": "a", "x - at `$.name`": 1}, ("", "Object contains unknown field `x - at `$.name``")),
        ([], ("", "Expected `object`, got `array`")),
    ],
)
def test_the_field_at_fault_and_its_choices_are_told(written: object, said: tuple[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(json.dumps(written), type=Written)
    assert misfit(raised.value, Written) == said


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "\xff"}'])
def test_what_is_no_json_has_no_field_at_fault(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as raised:
        msgspec.json.decode(body, type=Written)
    assert isinstance(raised.value, msgspec.DecodeError | UnicodeDecodeError)
    assert misfit(raised.value, Written) == ("", str(raised.value))
