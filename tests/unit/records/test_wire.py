from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.records.records import (
    Adr,
    ApplicationType,
    AudioPath,
    CallDirection,
    Cdr,
    ChannelType,
    Costs,
    ErrorRecord,
    Fdr,
    Records,
)
from callwright.records.settings import DEFAULT_SETTINGS
from callwright.records.wire import application_status_object, originating_address, shortened
from callwright.values.errors import InternalError, RequestError
from callwright.values.ids import AccountId, CallId, InstanceId
from callwright.values.money import money

INSTANCE = InstanceId("100d73cb12cbf845.8089")
CALL = CallId("100d73cb12cbf845.106285.246346213")
ADR = Adr(
    instance_id=INSTANCE,
    account_id=AccountId(1),
    reference=None,
    application_name="reminder",
    application=ApplicationType.REST,
    application_parameters="",
    outbound_parameters="",
    rest_to="441908283800",
    rest_from="",
    rest_initial_token="",
    uas_application_name="",
    uas_ip_address="",
    uas_name="",
    extra_channel_count=0,
    fax=False,
    started_at=1552572916.21,
    tts_ms=1_239,
    tts_neural_ms=0,
    final_asked_at=None,
    stopped_at=1552572949.42,
    exit_status=0,
    costs=Costs(platform=money("0.0100"), total=money("0.010")),
)
CDR = Cdr(
    call_id=CALL,
    instance_id=INSTANCE,
    direction=CallDirection.OUT,
    channel_type=ChannelType.PRIMARY,
    destination_address="tel:441908283800",
    originating_user="443069999876",
    initiated_at=1552572916.39,
    connected_at=None,
    ended_at=1552572926.39,
    hangup_cause="BUSY(486)",
    joined_s=0.0,
    call_cost=money("0"),
    costs_valid=True,
)
FDR = Fdr(
    feature_id="7",
    instance_id=INSTANCE,
    call_id=CALL,
    type="sr_get_input",
    audio_path=AudioPath.IN,
    transaction_id="t-1",
    started_at=1552572917.0,
    stopped_at=1552572918.75,
    seconds_for_cost=15.0,
    unit_cost=money("0.02"),
    cost=money("0.0050"),
    costs_valid=True,
)


def shown(records: Records) -> Any:
    """The answer as a client reads it."""
    return json.loads(json.dumps(application_status_object(records, DEFAULT_SETTINGS)))


def test_a_call_that_never_connected_shows_no_connected_time() -> None:
    cdr = shown(Records(cloud_id="0-0-0", adr=ADR, cdrs=(CDR,)))["cdrs"][CALL]
    assert (cdr["call_connected_time"], cdr["call_connected_datetime"], cdr["duration"]) == (0.0, "", 0.0)
    assert cdr["hangup_cause"] == "BUSY(486)"


def test_features_and_errors_are_keyed_and_added_up() -> None:
    answer = shown(
        Records(
            cloud_id="0-0-0",
            adr=ADR,
            fdrs=(FDR, replace(FDR, feature_id="8")),
            errors=(ErrorRecord(code="2008", text="one"), ErrorRecord(code="0001", text="two")),
        )
    )
    assert answer["adr"]["feature_seconds"] == 3.5
    assert answer["fdrs"]["7"] == {
        "application_instance_id": INSTANCE,
        "audio_path": "in",
        "call_id": CALL,
        "cost": 0.005,
        "costs_valid": "true",
        "duration": 1.75,
        "duration_for_cost": 15.0,
        "start_datetime": "2019-03-14_14:15:17",
        "start_time": 1552572917.0,
        "stop_datetime": "2019-03-14_14:15:18",
        "stop_time": 1552572918.75,
        "transaction_id": "t-1",
        "type": "sr_get_input",
        "unit_cost": 0.02,
    }
    assert list(answer["fdrs"]) == ["7", "8"]
    assert {key: error["error_text"] for key, error in answer["errs"].items()} == {"0": "one", "1": "two"}
    assert str(answer["errs"]["1"]["error_link"]).endswith("0001")


def test_keys_are_in_alphabetical_order_everywhere() -> None:
    answer = application_status_object(
        Records(cloud_id="0-0-0", adr=ADR, cdrs=(CDR,), fdrs=(FDR,), errors=(ErrorRecord(code="2008", text="x"),)),
        DEFAULT_SETTINGS,
    )

    def check(value: object) -> None:
        if isinstance(value, Mapping):
            assert list(value) == sorted(value)
            for inner in value.values():
                check(inner)

    check(answer)


def test_speech_seconds_are_truncated_to_hundredths() -> None:
    assert shown(Records(cloud_id="0-0-0", adr=ADR))["adr"]["tts_seconds"] == 1.23


def test_an_application_that_is_not_made_of_pages_has_no_log() -> None:
    adr = replace(ADR, application=ApplicationType.UAS)
    assert shown(Records(cloud_id="0-0-0", adr=adr))["adr"]["rest_log_filename"] == ""


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("", ""),
        ("9176280", "9176280"),
        ("1234567890123456", "1234567890123456"),
        ("12345678901234567", "1234567890123456..."),
        ("443069990123;hello", "443069990123;hel..."),
    ],
)
def test_long_texts_keep_sixteen_characters_and_three_dots(text: str, short: str) -> None:
    assert shortened(text) == short


@given(st.text())
def test_a_shortened_text_is_never_longer_than_nineteen_characters(text: str) -> None:
    assert len(shortened(text)) <= 19
    assert text.startswith(shortened(text).removesuffix("...")) or text == shortened(text)


def test_a_caller_is_shown_as_an_address_of_the_cloud() -> None:
    assert originating_address("4430", "1-2-0", DEFAULT_SETTINGS) == "4430@sip-1-2-0.callwright.example"
    assert originating_address("bob@example.com", "1-2-0", DEFAULT_SETTINGS) == "bob@example.com"


def test_an_open_record_cannot_be_shown() -> None:
    with pytest.raises(InternalError, match="still open"):
        shown(Records(cloud_id="0-0-0", adr=replace(ADR, stopped_at=None, exit_status=None, costs=None)))
    with pytest.raises(InternalError, match="still open"):
        shown(Records(cloud_id="0-0-0", adr=ADR, cdrs=(replace(CDR, ended_at=None, hangup_cause=None),)))


@pytest.mark.parametrize("code", ["", "208", "20080", "HTTP"])
def test_an_error_code_has_four_digits(code: str) -> None:
    with pytest.raises(RequestError, match="four digits"):
        ErrorRecord(code=code, text="x")
