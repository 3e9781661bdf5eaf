"""Diversion and History-Info as others write them."""

from __future__ import annotations

import pytest

from callwright.sip.diversion import Diversion, HistoryEntry, diversions, history


def test_diversions_are_read_over_all_lines_with_reason_count_and_privacy() -> None:
    headers = (
        (
            "Diversion",
            '"Bob" <sip:+4420@carrier.example;user=phone>;reason="no-answer";counter=2;privacy=full, <tel:+4421>',
        ),
        ("X-Other", "<sip:x@y>"),
        ("diversion", "<sip:first@carrier.example>;reason=user-busy;limit=5"),
    )
    assert diversions(headers) == (
        Diversion(
            uri="sip:+4420@carrier.example;user=phone", display="Bob", reason="no-answer", count=2, privacy="full"
        ),
        Diversion(uri="tel:+4421"),
        Diversion(uri="sip:first@carrier.example", reason="user-busy"),
    )


@pytest.mark.parametrize("counter", ["x", "-1", "", "99999999999", "²"])
def test_a_counter_that_is_none_counts_one(counter: str) -> None:
    assert [one.count for one in diversions((("Diversion", f'<sip:a@b>;counter="{counter}"'),))] == [1]


@pytest.mark.parametrize("value", ["", "<", '"', "no address", "<>", ",,"])
def test_what_cannot_be_read_is_left_out(value: str) -> None:
    assert diversions((("Diversion", value),)) == ()
    assert history((("History-Info", value),)) == ()


def test_history_is_read_with_its_index_cause_and_target() -> None:
    headers = (
        (
            "History-Info",
            "<sip:bob@p.example?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1, <sip:b2@x>;index=1.1;mp=1",
        ),
        ("History-Info", '"Desk" <sips:b3@y?Reason=Q.850%3Bcause%3D19%3Btext%3D%22no+answer%22>;index=1.1.1;rc=1.1'),
        ("History-Info", "<tel:+4420>;index=1.2;np"),
    )
    assert history(headers) == (
        HistoryEntry(uri="sip:bob@p.example", index="1", cause="SIP;cause=302", is_private=True),
        HistoryEntry(uri="sip:b2@x", index="1.1", target="mp=1"),
        HistoryEntry(
            uri="sips:b3@y", display="Desk", index="1.1.1", cause='Q.850;cause=19;text="no answer"', target="rc=1.1"
        ),
        HistoryEntry(uri="tel:+4420", index="1.2", target="np="),
    )


def test_line_breaks_hidden_in_escapes_do_not_come_through() -> None:
    (entry,) = history((("History-Info", "<sip:a@b?Reason=SIP%0D%0AX%3A%201>;index=1"),))
    assert entry.cause == "SIP X: 1"


def test_endless_lists_are_cut() -> None:
    many = ", ".join(f"<sip:{n}@x>" for n in range(500))
    assert len(diversions((("Diversion", many),))) == 20
    assert len(history((("History-Info", many),))) == 20
