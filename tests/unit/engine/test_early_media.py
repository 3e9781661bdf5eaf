"""Which early sound a call's leg hears, and who listens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from callwright.engine.early_media import EarlyMedia
from callwright.engine.media_leg import Leg
from callwright.media.offer_answer import CODECS, Agreed, choose
from callwright.media.protocol import Command, ConnectLeg, JoinLegs, PartLegs
from callwright.values.errors import PeerError
from callwright.values.ids import CallId

SDP_TYPE = (("Content-Type", "application/sdp"),)
HEARD, OWN = 1, 2


def sdp(port: int, *, direction: str = "sendrecv", host: str = "127.0.0.9", payload: int = 8) -> bytes:
    lines = ("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", f"c=IN IP4 {host}", "t=0 0")
    return "\r\n".join((*lines, f"m=audio {port} RTP/AVP {payload}", f"a={direction}", "")).encode()


def told_to_worker(story: Callable[[EarlyMedia], None], *, listened_to: bool = True) -> list[Command]:
    """What the media worker was told while something happened to a call's early sound."""
    told: list[Command] = []

    async def main() -> None:
        tell = told.append
        listener = Leg(HEARD, tell, "127.0.0.1", 4000) if listened_to else None
        story(EarlyMedia(CallId("0.1.1"), Leg(OWN, tell, "127.0.0.1", 4002), listener))

    asyncio.run(main())
    return told


def keep(early: EarlyMedia, tag: str, body: bytes) -> None:
    early.keep(tag, SDP_TYPE, body, CODECS)


def ports(told: list[Command]) -> list[int]:
    """Where the leg was connected to, in order."""
    return [command.port for command in told if isinstance(command, ConnectLeg)]


@pytest.mark.parametrize(("direction", "receives"), [("sendrecv", True), ("sendonly", True), ("inactive", False)])
def test_it_is_received_as_described_nothing_is_sent_and_no_key_is_looked_for_in_it(
    direction: str, receives: bool
) -> None:
    connected, joined = told_to_worker(lambda early: keep(early, "bob", sdp(5000, direction=direction)))
    assert joined == JoinLegs(leg=OWN, other=HEARD)
    assert isinstance(connected, ConnectLeg)
    assert (connected.receive, connected.send, connected.tone_keys) == (receives, False, False)


def test_nobody_hears_it_without_a_listener_and_an_answer_may_refer_to_it_all_the_same() -> None:
    def story(early: EarlyMedia) -> None:
        keep(early, "bob", sdp(5000))
        assert early.at_answer("bob", b"", CODECS).remote[1] == 5000

    assert told_to_worker(story, listened_to=False) == []


def test_what_is_told_again_changes_nothing_and_who_tells_something_new_is_heard() -> None:
    def story(early: EarlyMedia) -> None:
        keep(early, "bob", sdp(5000))
        keep(early, "carol", sdp(6000))
        keep(early, "bob", sdp(5000))
        keep(early, "carol", sdp(6002))

    assert ports(told_to_worker(story)) == [5000, 6000, 6002]


def test_who_listens_is_joined_once_and_parted_once() -> None:
    def story(early: EarlyMedia) -> None:
        keep(early, "bob", sdp(5000))
        keep(early, "carol", sdp(6000))
        early.end()
        early.end()
        keep(early, "dave", sdp(7000))

    joints = [command for command in told_to_worker(story) if not isinstance(command, ConnectLeg)]
    assert joints == [JoinLegs(leg=OWN, other=HEARD), PartLegs(leg=OWN)]


def test_another_place_is_listened_to_as_the_one_before_was() -> None:
    def story(early: EarlyMedia) -> None:
        keep(early, "bob", sdp(5000))
        early.forget()
        with pytest.raises(PeerError):
            early.at_answer("bob", b"", CODECS)
        keep(early, "bob", sdp(5000))

    told = told_to_worker(story)
    assert [type(command) for command in told] == [ConnectLeg, JoinLegs, PartLegs, ConnectLeg, JoinLegs]


def test_what_was_agreed_on_is_heard_whatever_the_same_telephone_tells_later() -> None:
    def story(early: EarlyMedia) -> None:
        agreed = choose(sdp(5000), CODECS)
        early.agree("bob", agreed)
        keep(early, "bob", sdp(5002))
        assert early.at_answer("bob", sdp(5002), CODECS) == agreed

    assert ports(told_to_worker(story)) == [5000]


@pytest.mark.parametrize(
    "body",
    [sdp(5000, payload=3), sdp(0), sdp(5000, host="nobody.invalid"), b"v=0"],
    ids=["codec", "off", "name", "cut"],
)
def test_what_cannot_be_heard_does_no_harm(body: bytes) -> None:
    assert told_to_worker(lambda early: keep(early, "bob", body)) == []


def test_what_is_no_description_is_not_heard() -> None:
    told = told_to_worker(lambda early: early.keep("bob", (("c", "text/plain"),), sdp(5000), CODECS))
    assert told == []


def test_a_telephone_too_many_is_not_heard() -> None:
    agreed: list[Agreed] = []

    def story(early: EarlyMedia) -> None:
        for number in range(33):
            keep(early, f"telephone {number}", sdp(5000 + 2 * number))
        agreed.append(early.at_answer("telephone 31", b"", CODECS))
        with pytest.raises(PeerError):
            early.at_answer("telephone 32", b"", CODECS)

    assert len(ports(told_to_worker(story))) == 32
    assert agreed[0].remote[1] == 5062
