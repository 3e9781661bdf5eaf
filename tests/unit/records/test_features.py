from __future__ import annotations

import pytest

from callwright.records.features import KNOWN_TYPES, check_type, step_s
from callwright.values.errors import RequestError

DOCUMENTED = """sr_play sr_get_input sr_run_speech_menu sr_start_transcription srp1_play srp1_get_input
srp1_run_speech_menu srp1_start_transcription sv_register sv_verify ct_connect_translator ctn_connect_translator
ctp1_connect_translator ctnp1_connect_translator""".split()


def test_the_types_are_the_documented_ones() -> None:
    assert sorted(KNOWN_TYPES) == sorted(DOCUMENTED)


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_recognition_and_translation_go_by_quarters_of_a_minute_verification_exactly(kind: str) -> None:
    assert step_s(check_type(kind)) == (None if kind.startswith("sv") else 15)


def test_a_type_of_the_future_is_recorded_and_charged_exactly() -> None:
    assert step_s(check_type("amd_detect")) is None


@pytest.mark.parametrize("kind", ["", "sr", "SR_play", "sr play", "_play", "sr_", "sr_" + "x" * 61])
def test_what_is_no_type_is_refused(kind: str) -> None:
    with pytest.raises(RequestError):
        check_type(kind)
