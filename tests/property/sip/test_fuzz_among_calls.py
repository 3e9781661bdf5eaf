"""A short run of the fuzz campaign (tests/acceptance/test_fuzz_campaign.py) over SIP with calls in every stage."""

from __future__ import annotations

from tests.support.fuzz import Campaign
from tests.support.fuzz_sip import SipWorld


def test_broken_messages_among_calls_of_every_stage_raise_nothing_and_leave_nothing() -> None:
    campaign, world = Campaign("sip"), SipWorld(seed=1)
    world.run(8_000, campaign, settle_every=1_000)
    assert world.invited > 100, "too few calls of the peer's came about"
    assert world.answered > 50, "too few of our calls were answered"
    assert abs(campaign.objects_per_case()) < 0.02, str(campaign)
