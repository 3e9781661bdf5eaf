"""A million broken messages: nothing raised, nothing slow, memory flat. Run by hand, best with `nice`:

    nice -n 19 pytest -s -m load tests/acceptance/test_fuzz_campaign.py
    FUZZ_CASES=50000 FUZZ_SEED=7 pytest -s -m load ...              shorter, or with other messages

A failure names its case as KIND SEED/NUMBER: the slice with that seed reaches it again.
"""

from __future__ import annotations

import os
import sys
import time

import pytest
from tests.support.fuzz import Campaign
from tests.support.fuzz_media import RtpWorld, fuzz_descriptions, fuzz_reports
from tests.support.fuzz_sip import SipWorld

CASES = int(os.environ.get("FUZZ_CASES", "1000000"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
SLICES = 10
SLOWEST_S = 0.05  # of CPU time for one message, or one batch of 32 packets
GROWN_BYTES = 8 * 2**20
# How the cases are shared out: SIP has by far the most states to be in.
SHARES = {"sip": 0.5, "sdp": 0.2, "rtp": 0.2, "rtcp": 0.1}


def run_slice(kind: str, seed: int, cases: int, campaign: Campaign) -> None:
    match kind:
        case "sip":
            SipWorld(seed).run(cases, campaign)
        case "sdp":
            fuzz_descriptions(seed, cases, campaign)
        case "rtp":
            RtpWorld(seed).run(cases, campaign)
        case _:
            fuzz_reports(seed, cases, campaign)


@pytest.mark.load
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", list(SHARES))
def test_a_million_broken_messages_raise_nothing_take_no_time_and_leave_nothing(kind: str) -> None:
    campaign = Campaign(kind)
    cases, began = round(CASES * SHARES[kind]), time.monotonic()
    for number in range(SLICES):
        run_slice(kind, SEED + number, cases // SLICES, campaign)
        campaign.weigh()
        sys.stderr.write(f"\n{time.monotonic() - began:5.0f} s  {campaign}\n")
    assert campaign.cases >= cases
    assert campaign.worst_s < SLOWEST_S, str(campaign)
    assert abs(campaign.objects_per_case()) < 0.01, str(campaign)
    assert campaign.resident_bytes[-1] - campaign.resident_bytes[1] < GROWN_BYTES, str(campaign)
