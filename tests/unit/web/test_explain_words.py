from __future__ import annotations

import pytest

from callwright.apps import return_codes
from callwright.outbound.reasons import Reason
from callwright.values.outcome import Cause
from callwright.web.explain_words import (
    CAUSES,
    REASONS,
    RETURN_CODES,
    advice_on_reason,
    advice_on_return_code,
    cause_in_words,
)


def test_every_reason_return_code_and_cause_is_explained() -> None:
    assert set(REASONS) == set(Reason)
    assert set(RETURN_CODES) == {code for code in return_codes.MEANINGS if code < 0}
    assert set(CAUSES) == set(Cause)
    for texts in [*REASONS.values(), *((cure,) for cure in RETURN_CODES.values())]:
        for text in texts:
            assert text[0].isupper()
            assert text.endswith(".")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("No UAS is connected", "application server"),
        ("No route: no trunk is configured and the simulated phone network is off", "--sandbox"),
        ("Conferences are not available", "sip:"),
        ("Something new", "queue.md"),
    ],
)
def test_a_reason_that_comes_from_elsewhere_has_advice_too(reason: str, word: str) -> None:
    assert word in " ".join(advice_on_reason(reason))


def test_return_codes_say_whose_they_are() -> None:
    assert advice_on_return_code(0) == ("The application ran to its end.", "")
    assert "page request failed" in advice_on_return_code(-10)[0]
    assert "its own return code 7" in advice_on_return_code(7)[0]
    assert "its own return code -100" in advice_on_return_code(-100)[0]
    assert "-55" in advice_on_return_code(-55)[0]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("BUSY(486)", "the called party was busy (SIP 486)"),
        ("NORMAL(200)", "it was answered, and ended normally"),
        ("FAILED(-1)", "it failed in the network (tones before an answer)"),
        ("ERROR(0)", "the platform failed or was restarted; it is not known how far the call came"),
        ("MARTIAN(99)", "MARTIAN(99)"),
        ("", ""),
    ],
)
def test_causes_are_said_in_words(cause: str, words: str) -> None:
    assert cause_in_words(cause) == words


def test_what_could_not_be_sent_is_not_called_the_far_end_s_fault() -> None:
    assert cause_in_words("NOCHANNELS(503)", "Service Unavailable") == "the far end had no free line (SIP 503)"
    assert cause_in_words("NOCHANNELS(503)", "could not be sent").startswith("nothing could be sent")
    nowhere = cause_in_words("NOCHANNELS(503)", "telephone has no address that can be reached from here")
    assert nowhere.startswith("nothing was sent: the host's name leads to no address")
    redirected = "redirected to sip:1@x; could not be sent; not followed: it leads back to where the call was already"
    assert cause_in_words("NOCHANNELS(503)", redirected).startswith("nothing could be sent")
