"""Offer and answer as a table: what a peer says, what is agreed, what we reply."""

from __future__ import annotations

import pytest

from callwright.media import offer_answer, sdp
from callwright.media.codec import G722, L16, PCMA, PCMU, Codec
from callwright.media.offer_answer import Agreed, Direction, NothingInCommon, answer, choose, codecs_named, offer

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n"


def described(*lines: str, head: str = HEAD) -> bytes:
    return (head + "".join(f"{line}\r\n" for line in lines)).encode()


def test_the_offer_names_both_laws_and_telephone_events() -> None:
    assert offer("192.0.2.1", 20000, session_id=5, version=6) == (
        b"v=0\r\no=- 5 6 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_our_own_offer_and_answer_agree() -> None:
    reply = answer(offer("192.0.2.1", 20000), "192.0.2.2", 30000)
    assert reply.agreed == Agreed(
        remote=("192.0.2.1", 20000), codec=PCMA, dtmf_payload=101, direction=Direction.SENDRECV, ptime_ms=20
    )
    assert choose(reply.body) == Agreed(
        remote=("192.0.2.2", 30000), codec=PCMA, dtmf_payload=101, direction=Direction.SENDRECV, ptime_ms=20
    )


@pytest.mark.parametrize(
    ("lines", "codec", "dtmf", "direction"),
    [
        (["m=audio 4000 RTP/AVP 0"], PCMU, None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000"], PCMA, 101, "sendrecv"),
        (["m=audio 4000 RTP/AVP 18 0", "a=rtpmap:18 G729/8000"], PCMU, None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 98", "a=rtpmap:98 pcma/8000/1"], Codec("PCMA", 98), None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 TELEPHONE-EVENT/8000"], PCMA, 96, "sendrecv"),
        (["m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/48000"], PCMA, None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 PCMA/16000"], PCMA, None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 8", "a=sendonly"], PCMA, None, "recvonly"),
        (["m=audio 4000 RTP/AVP 8", "a=recvonly"], PCMA, None, "sendonly"),
        (["m=audio 4000 RTP/AVP 8", "a=inactive"], PCMA, None, "inactive"),
        (["a=inactive", "m=audio 4000 RTP/AVP 8"], PCMA, None, "inactive"),
        (["a=inactive", "m=audio 4000 RTP/AVP 8", "a=sendrecv"], PCMA, None, "sendrecv"),
        (["m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0"], PCMA, None, "recvonly"),
        (["m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0", "a=sendonly"], PCMA, None, "recvonly"),
        (["m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0", "a=inactive"], PCMA, None, "inactive"),
        (["m=audio 4000 RTP/AVPF 8"], PCMA, None, "sendrecv"),
        (["m=video 1 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=audio 4000 RTP/AVP 8"], PCMA, None, "sendrecv"),
    ],
)
def test_an_answer_is_read(lines: list[str], codec: Codec, dtmf: int | None, direction: str) -> None:
    agreed = choose(described(*lines))
    assert (agreed.codec, agreed.dtmf_payload, agreed.direction) == (codec, dtmf, direction)
    assert agreed.remote[1] == 4000
    # The same words as an offer lead to the same agreement.
    assert answer(described(*lines), "192.0.2.1", 20000).agreed == agreed


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["m=audio 4000 RTP/AVP 18 3"], "no common audio codec: the peer takes 18, 3, we speak PCMA, PCMU"),
        (["m=audio 4000 RTP/SAVP 8"], "no audio over RTP/AVP"),
        (["m=video 4000 RTP/AVP 8"], "no audio over RTP/AVP"),
        (["m=audio 4000 RTP/AVP"], "the peer takes nothing"),
        (["m=audio 4000 RTP/AVP 0", "a=rtpmap:0 opus/48000/2"], "no common audio codec"),
    ],
)
def test_nothing_in_common_is_said_clearly(lines: list[str], complaint: str) -> None:
    for read in (choose, lambda body: answer(body, "192.0.2.1", 20000)):
        with pytest.raises(NothingInCommon, match=complaint):
            read(described(*lines))


def test_a_refused_stream_in_an_answer_is_an_error() -> None:
    with pytest.raises(NothingInCommon, match="port 0"):
        choose(described("m=audio 0 RTP/AVP 8"))


def test_a_stream_switched_off_in_an_offer_is_answered_in_kind() -> None:
    reply = answer(described("m=audio 0 RTP/AVP 8"), "192.0.2.1", 20000)
    assert reply.agreed.direction is Direction.INACTIVE
    assert sdp.parse(reply.body).media[0].port == 0


def test_only_codecs_we_offered_are_taken() -> None:
    with pytest.raises(NothingInCommon):
        choose(described("m=audio 4000 RTP/AVP 0"), [PCMA])
    assert choose(described("m=audio 4000 RTP/AVP 0 8"), [PCMA]).codec == PCMA


def test_every_offered_section_has_its_answer_in_place() -> None:
    body = described(
        "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/AVP 8 0", "m=audio 6000 RTP/AVP 0", "m=image 1 udptl t38"
    )
    media = sdp.parse(answer(body, "192.0.2.1", 20000).body).media
    assert [(m.kind, m.port, m.formats) for m in media] == [
        ("video", 0, ("31",)),
        ("audio", 20000, ("8",)),
        ("audio", 0, ("0",)),
        ("image", 0, ("t38",)),
    ]


@pytest.mark.parametrize(
    ("theirs", "wanted", "replied"),
    [
        ("sendrecv", Direction.SENDRECV, "sendrecv"),
        ("sendonly", Direction.SENDRECV, "recvonly"),
        ("recvonly", Direction.SENDRECV, "sendonly"),
        ("inactive", Direction.SENDRECV, "inactive"),
        ("sendrecv", Direction.SENDONLY, "sendonly"),
        ("sendonly", Direction.SENDONLY, "inactive"),
        ("sendrecv", Direction.INACTIVE, "inactive"),
    ],
)
def test_the_answered_direction_is_narrowed_by_both_sides(theirs: str, wanted: Direction, replied: str) -> None:
    reply = answer(described("m=audio 4000 RTP/AVP 8", f"a={theirs}"), "192.0.2.1", 20000, direction=wanted)
    assert reply.agreed.direction == replied
    assert sdp.parse(reply.body).media[0].attribute(replied) == ""


@pytest.mark.parametrize(
    ("text", "ptime"),
    [("30", 30), ("20.0", 20), ("", 20), ("x", 20), ("0", 20), ("9999999", 20), ("00010000", 20), ("0" * 5000, 20)],
    ids=lambda value: str(value)[:10],
)
def test_the_peers_packet_length_is_noted_when_it_makes_sense(text: str, ptime: int) -> None:
    assert choose(described("m=audio 4000 RTP/AVP 8", f"a=ptime:{text}")).ptime_ms == ptime


def test_who_says_more_than_telephones_do_is_understood_and_not_kept() -> None:
    offer_answer._terms.cache_clear()
    many = [f"a=rtpmap:{number} x/8000" for number in range(20, 120)]
    for length in range(50):
        told = choose(described("m=audio 4000 RTP/AVP 8", f"a=ptime:{10 + length}", *many))
        assert (told.codec, told.ptime_ms) == (PCMA, 10 + length)
    assert offer_answer._terms.cache_info().currsize == 0


@pytest.mark.parametrize(("lines", "ptime"), [(("a=maxptime:10",), 10), (("a=ptime:60", "a=maxptime:40"), 40)])
def test_packets_are_never_longer_than_the_peer_allows(lines: tuple[str, ...], ptime: int) -> None:
    assert choose(described("m=audio 4000 RTP/AVP 8", *lines)).ptime_ms == ptime


def test_wideband_and_linear_sound_are_offered_by_name() -> None:
    offered = offer("192.0.2.1", 20000, (G722, L16, PCMA))
    assert b"m=audio 20000 RTP/AVP 9 96 8 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:96 L16/8000\r\n" in offered
    assert choose(described("m=audio 4000 RTP/AVP 9"), (G722, PCMA)).codec == G722
    agreed = answer(offered, "192.0.2.2", 30000, (PCMA, L16)).agreed
    assert agreed.codec == L16
    assert choose(described("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 l16/8000/1"), (L16,)).codec == Codec("L16", 97)


@pytest.mark.parametrize("encoding", ["L16/16000", "L16/8000/2", "L16/44100", "G722/16000"])
def test_rates_and_stereo_we_do_not_take_are_not_agreed(encoding: str) -> None:
    with pytest.raises(NothingInCommon):
        choose(described("m=audio 4000 RTP/AVP 97", f"a=rtpmap:97 {encoding}"), (G722, L16))


def test_directions_mirror() -> None:
    assert [each.mirrored for each in Direction] == [
        Direction.SENDRECV,
        Direction.RECVONLY,
        Direction.SENDONLY,
        Direction.INACTIVE,
    ]


def test_the_order_of_an_offer_is_ours_to_choose() -> None:
    wanted = codecs_named(["pcmu", "PCMA"])
    assert wanted == (PCMU, PCMA)
    assert sdp.parse(offer("127.0.0.1", 4000, wanted)).media[0].formats[:2] == ("0", "8")
    assert codecs_named([" PCMA "]) == (PCMA,)


@pytest.mark.parametrize("names", [[], ["G729"], ["PCMA", "pcma"], ["PCMA", ""]])
def test_codecs_we_do_not_speak_or_that_are_named_twice_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="we speak PCMA, PCMU, "):
        codecs_named(names)


def test_telephones_that_say_the_same_of_their_sound_are_reached_each_at_its_own_place() -> None:
    bodies = [
        f"c=IN IP4 192.0.2.{n}\r\nm=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n".encode()
        for n, port in ((1, 4000), (2, 5000), (2, 0))
    ]
    first, second = map(choose, bodies[:2])
    assert (first.remote, second.remote) == (("192.0.2.1", 4000), ("192.0.2.2", 5000))
    assert first.direction is second.direction is Direction.SENDRECV
    assert answer(bodies[2], "192.0.2.9", 4002).agreed.direction is Direction.INACTIVE


def test_the_same_answer_is_judged_by_what_each_call_offered() -> None:
    body = b"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8\r\n"
    assert choose(body, codecs_named(["PCMA"])).codec == PCMA
    assert choose(body, codecs_named(["PCMU", "PCMA"])).codec == PCMU
    with pytest.raises(NothingInCommon):
        choose(body, codecs_named(["L16"]))
