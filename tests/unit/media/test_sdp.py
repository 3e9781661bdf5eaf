"""Session descriptions: what is read out of them, and what is refused."""

from __future__ import annotations

import pytest

from callwright.media.sdp import MAX_BYTES, Description, Media, SdpError, parse, render

ORDINARY = b"""v=0\r
o=alice 2890844526 2890844527 IN IP4 192.0.2.1\r
s=-\r
c=IN IP4 192.0.2.1\r
t=0 0\r
a=sendonly\r
m=audio 49170 RTP/AVP 0 8 97\r
a=rtpmap:97 iLBC/8000\r
a=ptime:30\r
m=video 51372 RTP/AVP 31\r
c=IN IP4 192.0.2.2/127\r
"""


def test_an_ordinary_description_is_read() -> None:
    description = parse(ORDINARY)
    assert (description.user, description.session_id, description.version) == ("alice", 2890844526, 2890844527)
    audio, video = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 49170, "RTP/AVP", ("0", "8", "97"))
    assert audio.host == "192.0.2.1"
    assert video.host == "192.0.2.2"
    assert audio.attribute("ptime") == "30"
    assert audio.values("rtpmap") == ["97 iLBC/8000"]
    assert audio.attribute("sendonly") == ""
    assert audio.attribute("sendrecv") is None


@pytest.mark.parametrize(
    "body",
    [
        ORDINARY.replace(b"\r\n", b"\n"),
        ORDINARY.replace(b"\r\n", b"\r"),
        ORDINARY + b"\r\n\r\n",
        b"x-unknown\r\nz=0 0\r\n" + ORDINARY + b"y=what is this\r\nnonsense\r\n",
        ORDINARY.replace(b"v=0\r\n", b"").replace(b"t=0 0\r\n", b"").replace(b"s=-\r\n", b""),
        ORDINARY.replace(b"a=", b"a = ").replace(b"m=audio", b" m=AUDIO").replace(b"RTP/AVP", b"rtp/avp"),
        ORDINARY.replace(b"s=-", b"s=caf\xe9 \xff"),
        ORDINARY.replace(b"49170 ", b"49170/1 "),
    ],
    ids=["LF", "CR", "trailing lines", "unknown lines", "missing lines", "spaces and case", "not UTF-8", "port count"],
)
def test_sloppy_descriptions_mean_the_same(body: bytes) -> None:
    assert parse(body).media == parse(ORDINARY).media


def test_session_lines_after_the_origin_may_come_in_any_order() -> None:
    head, _, tail = ORDINARY.partition(b"m=audio")
    shuffled = b"\r\n".join(reversed(head.strip().split(b"\r\n"))) + b"\r\nm=audio" + tail
    assert parse(shuffled) == parse(ORDINARY)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "no media section"),
        (b"v=0\r\ns=-\r\n", "no media section"),
        (b"m=audio\r\n", "needs a kind"),
        (b"m=audio 70000 RTP/AVP 0\r\n", "impossible port"),
        (b"m=audio -1 RTP/AVP 0\r\n", "impossible port"),
        ("m=audio ٣ RTP/AVP 0\r\n".encode(), "impossible port"),
        (b"m=audio 1 RTP/AVP 0\r\nm=vi\0deo 2 RTP/AVP 31\r\n", "no word of it may have"),
        (b"c=IN IP9 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n", "c= line"),
        (b"c=1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n", "c= line"),
        (b"m=audio 1 RTP/AVP 0\r\n" * 65, "more than 64"),
        (b"a=x\r\n" * 2001, "lines"),
        (b"a=" + b"x" * MAX_BYTES, "bytes"),
    ],
)
def test_what_cannot_be_understood_is_the_peers_fault(body: bytes, complaint: str) -> None:
    with pytest.raises(SdpError, match=complaint):
        parse(body)


def test_an_odd_origin_does_not_lose_a_call() -> None:
    assert parse(b"o=?\r\nm=audio 1 RTP/AVP 0\r\n").session_id == 1
    assert parse(b"o=- x y IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n").session_id == 0


def test_a_rendered_description_is_read_back() -> None:
    media = Media(
        kind="audio",
        port=4000,
        protocol="RTP/AVP",
        formats=("8",),
        host="2001:db8::1",
        attributes=(("rtpmap", "8 PCMA/8000"), ("inactive", "")),
    )
    description = Description(user="-", session_id=7, version=8, host="192.0.2.9", media=(media,))
    body = render(description)
    assert parse(body) == description
    assert body.startswith(b"v=0\r\no=- 7 8 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio ")
    assert b"c=IN IP6 2001:db8::1\r\n" in body
