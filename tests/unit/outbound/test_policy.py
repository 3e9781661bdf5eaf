from __future__ import annotations

from dataclasses import replace

import pytest

from callwright.accounts.account import ANY, Account, AccountType
from callwright.accounts.rules import Rules
from callwright.accounts.service import ApplicationKind, CallType, Direction, Page, Service
from callwright.engine.interface import Refusal
from callwright.outbound.policy import NOTHING_FOUND, Found, judge
from callwright.outbound.reasons import Reason
from callwright.outbound.start import Start
from callwright.values.destination import Destination, DestinationKind
from callwright.values.ids import AccountId, ServiceId, ServiceReference, StartId

ACCOUNT = Account(
    id=AccountId(1),
    username="ann@example.com",
    cloud_id="0-0-0",
    type=AccountType.PREMIUM,
    max_cps=1.0,
    min_cps=0.0,
    max_running=None,
    caller_ids=("441908273800",),
    created_at=0.0,
)
SERVICE = Service(
    id=ServiceId(1),
    account_id=AccountId(1),
    name="calls",
    direction=Direction.OUTBOUND,
    application=ApplicationKind.REST,
    enabled=True,
    first_page=Page(url="http://127.0.0.1/first"),
    final_page=None,
    error_page=None,
    application_parameters="",
    tts_voice="",
    call_type=CallType.TELEPHONE,
    max_cps=None,
    min_cps=None,
    max_running=None,
    ring_timeout_s=60.0,
    uas_application_name="",
)
START = Start(
    id=StartId(1),
    reference=ServiceReference("00000001_0.1.1"),
    account_id=AccountId(1),
    service_id=ServiceId(1),
    given_to="tel:443069990123",
    given_from="441908273800",
    token=None,
    outbound_parameters=None,
    extra_sip_headers=(),
    queued_at=0.0,
    due_at=0.0,
    expires_at=1.0,
    attempt=1,
)


def verdict(
    start: Start = START,
    *,
    account: Account = ACCOUNT,
    service: Service = SERVICE,
    refused: str | None = None,
    found: Found = NOTHING_FOUND,
) -> str | DestinationKind:
    def refusal(destination: Destination) -> Refusal | None:
        return None if refused is None else Refusal(reason=refused)

    result = judge(start, account=account, service=service, refusal=refusal, found=found)
    return result.kind if isinstance(result, Destination) else str(result)


def test_a_start_with_nothing_against_it_may_run() -> None:
    assert verdict() is DestinationKind.TEL


def test_a_disabled_service_does_not_run() -> None:
    assert verdict(service=replace(SERVICE, enabled=False)) == "Service disabled"


def test_a_uas_service_has_no_server_connected() -> None:
    service = replace(SERVICE, application=ApplicationKind.UAS, uas_application_name="app")
    assert verdict(replace(START, given_to=None), service=service) == "No UAS is connected"


@pytest.mark.parametrize("shown", ["441908273800", "+441908273800", "44-1908-273800"])
def test_a_validated_caller_id_may_be_shown_however_it_is_written(shown: str) -> None:
    assert verdict(replace(START, given_from=shown)) is DestinationKind.TEL


@pytest.mark.parametrize("shown", ["441908273801", "bob", ""])
def test_another_caller_id_may_not_be_shown_to_a_telephone(shown: str) -> None:
    assert verdict(replace(START, given_from=shown)) == "Invalid caller ID"


def test_an_account_for_any_caller_id_may_show_every_one() -> None:
    assert verdict(replace(START, given_from="bob"), account=replace(ACCOUNT, caller_ids=ANY)) is DestinationKind.TEL


def test_a_sip_address_needs_no_validated_caller_id() -> None:
    assert verdict(replace(START, given_to="sip:bob@example.com", given_from="")) is DestinationKind.SIP


@pytest.mark.parametrize(
    ("to", "call_type"), [("con:Room", CallType.TELEPHONE), ("tel:443069990123", CallType.CONFERENCE)]
)
def test_the_destination_must_match_the_call_type_of_the_service(to: str, call_type: CallType) -> None:
    reason = verdict(replace(START, given_to=to), service=replace(SERVICE, call_type=call_type))
    assert reason == "Destination does not match the outbound call type of the service"


def test_the_engine_has_the_last_word_and_its_reason_is_passed_on() -> None:
    assert verdict(refused="No route to tel:443069990123") == "No route to tel:443069990123"


def test_a_destination_only_an_earlier_version_understood_is_refused() -> None:
    assert verdict(replace(START, given_to="fax 12")) == "Invalid destination"


def to(number: str, **rules: bool | tuple[str, ...]) -> str | DestinationKind:
    """Judge a start to a number, under these rules."""
    account = replace(ACCOUNT, rules=replace(Rules(), **rules))  # type: ignore[arg-type]
    return verdict(replace(START, given_to=number), account=account)


EVERYTHING = {"allow_premium": True, "allow_unknown": True}


@pytest.mark.parametrize("number", ["112", "999", "tel:+911", "44999", "1911", "tel:33-112"])
def test_emergency_numbers_are_refused_whatever_the_account_may(number: str) -> None:
    assert to(number, **EVERYTHING) == "Emergency numbers cannot be called"


@pytest.mark.parametrize("number", ["12", "44118118", "1411"])
def test_short_codes_are_refused_whatever_the_account_may(number: str) -> None:
    assert to(number, **EVERYTHING) == "Short codes cannot be called"


@pytest.mark.parametrize("number", ["449098790000", "19005551234", "97912345678"])
def test_premium_rate_numbers_need_a_rule(number: str) -> None:
    assert to(number, allow_unknown=True) == "Premium rate numbers are not allowed"
    assert to(number, allow_premium=True) is DestinationKind.TEL


@pytest.mark.parametrize("number", ["881612345678", "88299123456", "2101234567", "44190827380012", "21012345678"])
def test_satellite_and_unknown_numbers_need_a_rule(number: str) -> None:
    assert to(number, allow_premium=True) == "Unknown and satellite numbers are not allowed"
    assert to(number, allow_unknown=True) is DestinationKind.TEL


def test_the_test_numbers_are_exempt_where_the_simulated_network_carries_them() -> None:
    assert to("999005550012") is DestinationKind.TEL


def test_without_the_simulated_network_its_numbers_are_like_others() -> None:
    start = replace(START, given_to="999005550012")
    assert verdict(start, refused="No route: off") == "Unknown and satellite numbers are not allowed"
    allowed = replace(ACCOUNT, rules=Rules(allow_unknown=True))
    assert verdict(start, account=allowed, refused="No route: off") == "No route: off"


def test_the_lists_of_prefixes_decide_on_the_number_as_it_is_dialled() -> None:
    assert to("441908273800", blocked_prefixes=("4419",)) == "Destination not allowed"
    assert to("441908273800", allowed_prefixes=("33",)) == "Destination not allowed"
    assert to("441908273800", allowed_prefixes=("44",)) is DestinationKind.TEL
    assert to("4401908273800", blocked_prefixes=("4419",)) == "Destination not allowed"


def test_a_number_on_the_do_not_call_list_is_not_dialled() -> None:
    assert verdict(found={START.id: Reason.DO_NOT_CALL}) == "Do not call"
    assert verdict(found={StartId(7): Reason.DO_NOT_CALL}) is DestinationKind.TEL


def test_rules_for_numbers_do_not_concern_sip_addresses() -> None:
    start = replace(START, given_to="sip:112@example.com")
    assert verdict(start, account=replace(ACCOUNT, rules=Rules(allowed_prefixes=("33",)))) is DestinationKind.SIP


@pytest.mark.parametrize(
    ("given", "dialled"),
    [
        ("tel:+44-0-1908-273800", "441908273800"),
        ("490449098790123", "49449098790123"),
        ("390612345678", "390612345678"),
    ],
)
def test_the_number_that_was_judged_is_the_one_dialled(given: str, dialled: str) -> None:
    found = judge(
        replace(START, given_to=given), account=ACCOUNT, service=SERVICE, refusal=lambda _to: None, found=NOTHING_FOUND
    )
    assert isinstance(found, Destination)
    assert found.prefixed == f"tel:{dialled}"
