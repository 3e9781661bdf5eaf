"""Reason values as carriers write them."""

from __future__ import annotations

import pytest

from callwright.sip.reason import q850_cause


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("Q.850;cause=17", 17),
        ('Q.850 ;cause=16;text="Normal call clearing"', 16),
        ('SIP;cause=480;text="a, b", q.850; text="no answer" ; Cause = 19', 19),
        ("Q.850;cause=127", 127),
        ("", None),
        ("SIP;cause=486", None),
        ("Q.850", None),
        ("Q.850;cause=0", None),
        ("Q.850;cause=128", None),
        ("Q.850;cause=1234", None),
        ("Q.850;cause=x", None),
        ('Q.850;text=";cause=17"', None),
        ("Q.8500;cause=17", None),
    ],
)
def test_the_cause_of_the_telephone_network_is_found(value: str, cause: int | None) -> None:
    assert q850_cause(value) == cause
