"""Round trips and garbage for everything that is read from the network or from the socketpair."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callwright.media import offer_answer, protocol, rtcp, rtp, sdp
from callwright.media.codec import Codec
from callwright.media.offer_answer import Direction
from callwright.values.errors import PeerError

U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
PACKETS = st.builds(
    rtp.Packet,
    payload_type=st.integers(0, 127),
    sequence=U16,
    timestamp=U32,
    ssrc=U32,
    payload=st.binary(max_size=200),
    marker=st.booleans(),
)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=10)
VALUES = st.text("abcXYZ019 /:;=-", max_size=20).map(lambda text: " ".join(text.split()))
HOSTS = st.sampled_from(["192.0.2.1", "127.0.0.1", "2001:db8::7", "media.example"])
MEDIA = st.builds(
    sdp.Media,
    kind=TOKENS,
    port=U16,
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP", "UDPTL"]),
    formats=st.lists(TOKENS, max_size=5).map(tuple),
    host=HOSTS,
    attributes=st.lists(st.tuples(TOKENS, VALUES), max_size=6).map(tuple),
)
DESCRIPTIONS = st.builds(
    sdp.Description,
    user=TOKENS,
    session_id=st.integers(0, 2**63),
    version=st.integers(0, 2**63),
    host=HOSTS,
    media=st.lists(MEDIA, min_size=1, max_size=4).map(tuple),
)


@given(PACKETS)
def test_a_built_packet_is_parsed_to_itself(packet: rtp.Packet) -> None:
    assert rtp.parse(rtp.build(packet)) == packet


@given(st.lists(st.one_of(PACKETS.map(rtp.build), st.binary(max_size=250)), min_size=1, max_size=10))
def test_rows_and_single_packets_are_read_alike(datagrams: list[bytes]) -> None:
    rows = np.zeros((len(datagrams), 256), np.uint8)
    for row, datagram in zip(rows, datagrams, strict=True):
        row[: len(datagram)] = np.frombuffer(datagram, np.uint8)
    headers = rtp.parse_rows(rows, np.array([len(datagram) for datagram in datagrams]))
    for index, datagram in enumerate(datagrams):
        packet = rtp.parse(datagram)
        if headers.plain[index]:
            assert packet is not None
            assert packet.payload == datagram[12:]
        if packet is not None:
            assert headers.rtp[index]
            assert (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == (
                headers.payload_type[index],
                headers.sequence[index],
                headers.timestamp[index],
                headers.ssrc[index],
            )


@given(st.binary(max_size=300))
def test_no_datagram_upsets_the_parsers(datagram: bytes) -> None:
    rtp.parse(datagram)
    rtcp.parse(datagram)
    for head in (b"\x81\xc8", b"\x82\xc9", b"\x83\xcb"):
        rtcp.parse(head + datagram)


@given(
    ssrc=U32,
    cname=st.text(max_size=40),
    timestamp=U32,
    lost=st.integers(-(2**23), 2**23 - 1),
    fraction=st.integers(0, 255),
    highest=U32,
)
def test_reports_survive_the_wire(
    ssrc: int, cname: str, timestamp: int, lost: int, fraction: int, highest: int
) -> None:
    sender = rtcp.SenderInfo(at=1_700_000_000.25, timestamp=timestamp, packets=highest, octets=timestamp)
    block = rtcp.ReportBlock(
        ssrc=ssrc,
        fraction_lost=fraction / 256,
        lost=lost,
        highest=highest,
        jitter=timestamp,
        last_sender_report=timestamp,
        delay_s=3.5,
    )
    report = rtcp.Report(ssrc=ssrc, sender=sender, blocks=(block,))
    assert rtcp.parse(rtcp.build_bye(ssrc, cname, sender, block)) == [report, rtcp.Bye(ssrcs=(ssrc,))]


@given(DESCRIPTIONS)
def test_a_rendered_description_is_parsed_to_itself(description: sdp.Description) -> None:
    assert sdp.parse(sdp.render(description)) == description


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.tuples(st.sampled_from("vosctma"), st.text(max_size=30)).map(lambda line: f"{line[0]}={line[1]}\r\n"),
            max_size=15,
        ).map(lambda lines: "".join(lines).encode("utf-8", "replace")),
        st.lists(
            st.sampled_from(
                [
                    "m=audio 4 RTP/AVP 0 8 101",
                    "a=rtpmap:",
                    "a=rtpmap:101 x/",
                    "c=IN IP4 1.2.3.4",
                    "a=ptime:",
                    "m=audio ² x",
                ]
            ),
            max_size=8,
        ).map(lambda lines: "\r\n".join(lines).encode()),
    )
)
def test_any_body_is_agreed_to_or_is_the_peers_fault(body: bytes) -> None:
    for read in (offer_answer.choose, lambda offered: offer_answer.answer(offered, "127.0.0.1", 4000)):
        try:
            read(body)
        except PeerError:
            continue


@given(
    codecs=st.permutations([Codec("PCMA", 8), Codec("PCMU", 0)]),
    ours=st.lists(st.sampled_from([Codec("PCMA", 8), Codec("PCMU", 0)]), min_size=1, max_size=2, unique=True),
    event=st.one_of(st.none(), st.integers(96, 127)),
    wished=st.sampled_from(Direction),
    wanted=st.sampled_from(Direction),
)
def test_both_sides_of_an_offer_come_to_the_same_agreement(
    codecs: list[Codec], ours: list[Codec], event: int | None, wished: Direction, wanted: Direction
) -> None:
    offered = offer_answer.offer("192.0.2.1", 4000, codecs, dtmf_payload=event, direction=wished)
    reply = offer_answer.answer(offered, "192.0.2.2", 6000, ours, direction=wanted)
    chosen = offer_answer.choose(reply.body, codecs)
    assert chosen.codec == reply.agreed.codec
    assert chosen.dtmf_payload == reply.agreed.dtmf_payload == event
    assert chosen.direction == reply.agreed.direction.mirrored
    assert not (chosen.direction.sends and not wished.sends)


@given(
    messages=st.lists(st.integers(0, 2**31).map(lambda leg: protocol.OpenLeg(leg=leg)), min_size=1, max_size=20),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_frames_do_not_care_how_the_stream_is_cut(messages: list[protocol.OpenLeg], cuts: list[int]) -> None:
    stream = b"".join(protocol.pack([message]) for message in messages)
    frames = protocol.Frames()
    received: list[protocol.Command] = []
    at = 0
    for cut in (*cuts, len(stream)):
        for body in frames.feed(stream[at : at + cut]):
            received += protocol.read_commands(body)
        at += cut
    assert received == messages
