"""The documented application_status examples, byte for byte, from facts through the ledger and the database.

Each example has a rate card of its own: the same number is an ordinary one in the first and toll-free in the second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.support.ledger import open_ledger

from callwright.db.database import DATABASE_FILE, Database
from callwright.records import ledger
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.ids import AccountId, CallId, InstanceId
from callwright.values.money import money
from callwright.values.outcome import EndedBy, answered_outcome

EXAMPLES = Path(__file__).parents[2] / "data" / "seeds"


def as_documented(rates: RateCard) -> RecordSettings:
    return RecordSettings(
        rates=rates,
        include_neural_in_total=False,
        cdr_rated=False,
        error_link="https://www.aculab.com/cloud/other-apis/web-services/web-service-errors?error=",
        sip_domain="sip-{cloud_id}.aculab.com",
    )


REST_SETTINGS = as_documented(
    RateCard(platform=money("0.01"), pstn=money("0.016"), tts=money("0.0072"), tts_neural=money("0.0192"))
)
UAS_SETTINGS = as_documented(
    RateCard(
        platform=money("0.01"),
        tollfree=money("0.057"),
        tollfree_prefixes=("443069",),
        tts=money("0.0072"),
        tts_neural=money("0.0192"),
    )
)


def rest_instance(c: Connection, account_id: AccountId) -> InstanceId:
    instance = InstanceId("100d73cb12cbf845.8089")
    call = CallId("100d73cb12cbf845.106285.246346213")
    ledger.open_adr(
        c,
        instance_id=instance,
        account_id=account_id,
        application_name="outbound_test",
        started_at=1552572916.21,
        rest_to="tel:443069990123",
        rest_from="443069999876",
        rest_initial_token="9176280",
    )
    ledger.open_cdr(
        c,
        call_id=call,
        instance_id=instance,
        destination_address="tel:443069990123",
        originating_user="443069999876",
        initiated_at=1552572916.39,
    )
    assert ledger.mark_answered(c, call, 1552572916.97, b"dialog")
    assert ledger.add_tts(c, instance, seconds=9.2, neural=False)
    assert ledger.add_tts(c, instance, seconds=5.8, neural=False)
    outcome = answered_outcome(ended_by=EndedBy.FAR_END)
    assert ledger.close_cdr(c, call, ended_at=1552572949.07, outcome=outcome, settings=REST_SETTINGS)
    assert ledger.close_adr(c, instance, stopped_at=1552572949.42, exit_status=0, settings=REST_SETTINGS)
    return instance


def uas_instance(c: Connection, account_id: AccountId) -> InstanceId:
    instance = InstanceId("049136ca36e44662.200476")
    call = CallId("049136ca36e44662.209560.914358273")
    ledger.open_adr(
        c,
        instance_id=instance,
        account_id=account_id,
        application_name="outbound_test",
        application="uas",
        started_at=1366725525.81,
        application_parameters="443069990123",
        outbound_parameters="443069990123;hello;and more",
        uas_application_name="outbound_reminder",
        uas_ip_address="123.100.100.223",
        uas_name="Prod001",
    )
    ledger.open_cdr(
        c,
        call_id=call,
        instance_id=instance,
        destination_address="tel:443069990123",
        originating_user="443069990123",
        initiated_at=1366725525.85,
    )
    assert ledger.mark_answered(c, call, 1366725535.11, b"dialog", initiated_at=1366725525.86)
    assert ledger.add_tts(c, instance, seconds=15.0, neural=True)
    outcome = answered_outcome(ended_by=EndedBy.APPLICATION)
    assert ledger.close_cdr(c, call, ended_at=1366725536.31, outcome=outcome, settings=UAS_SETTINGS)
    assert ledger.close_adr(c, instance, stopped_at=1366725536.67, exit_status=-111, settings=UAS_SETTINGS)
    return instance


@pytest.mark.parametrize(
    ("file", "write", "settings"),
    [
        ("application_status_rest.json", rest_instance, REST_SETTINGS),
        ("application_status_uas.json", uas_instance, UAS_SETTINGS),
    ],
    ids=["rest", "uas"],
)
def test_the_documented_example_comes_out_byte_for_byte(
    tmp_path: Path, file: str, write: Callable[[Connection, AccountId], InstanceId], settings: RecordSettings
) -> None:
    with open_ledger(tmp_path) as opened:
        account_id = opened.account.id
        instance = opened.db.write_now(lambda c: write(c, account_id))
    with Database.open(tmp_path / DATABASE_FILE) as db:  # as a restarted node reads it
        answer = db.read_now(lambda c: ledger.application_status(c, account_id, instance, settings))
    assert json.dumps(answer, indent=2) + "\n" == (EXAMPLES / file).read_text()
