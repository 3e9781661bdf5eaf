"""A short run of the fuzz campaign (tests/acceptance/test_fuzz_campaign.py) over SDP, RTP and RTCP."""

from __future__ import annotations

from tests.support.fuzz import Campaign
from tests.support.fuzz_media import RtpWorld, fuzz_descriptions, fuzz_reports

CASES = 4_000


def test_broken_descriptions_are_agreed_to_or_the_peers_fault() -> None:
    campaign = Campaign("sdp")
    agreed = fuzz_descriptions(1, CASES, campaign, weigh_every=1_000)
    assert CASES / 10 < agreed < CASES * 9 / 10, "descriptions too broken, or hardly broken at all"
    assert abs(campaign.objects_per_case()) < 0.02, str(campaign)


def test_broken_packets_among_running_streams_raise_nothing() -> None:
    campaign, world = Campaign("rtp"), RtpWorld(1)
    world.run(CASES, campaign, weigh_every=1_000)
    assert world.taken() > CASES / 10, "nearly nothing was taken"
    assert abs(campaign.objects_per_case()) < 0.02, str(campaign)


def test_broken_reports_raise_nothing_and_measure_nothing_impossible() -> None:
    campaign = Campaign("rtcp")
    fuzz_reports(1, CASES, campaign, weigh_every=1_000)
    assert abs(campaign.objects_per_case()) < 0.02, str(campaign)
