"""Streams and DNS answers of any kind: cut alike whatever the pieces, ordered without loss, never without an end."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sip_talk import request_from_peer

from callwright.sip.errors import SipParseError
from callwright.sip.locating import MOST_TARGETS, Found, Naptr, Srv, by_weight, locate
from callwright.sip.stream import Framer
from callwright.sip.way import Target, Transport

bodies = st.binary(max_size=60)
messages = bodies.map(lambda body: request_from_peer("INFO", body=body).render())
pieces = st.lists(st.one_of(messages, st.just(b"\r\n\r\n"), st.just(b"\r\n")), max_size=6)


@given(parts=pieces, cuts=st.lists(st.integers(0, 3000), max_size=20))
def test_a_stream_is_cut_alike_whatever_its_pieces(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts)
    whole, pieced = Framer(), Framer()
    expected = whole.feed(stream)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    got = [message for a, b in itertools.pairwise(places) for message in pieced.feed(stream[a:b])]
    assert got == expected
    assert [part for part in parts if part.startswith(b"INFO")] == expected
    assert pieced.pings == whole.pings


@settings(max_examples=300)
@given(chunks=st.lists(st.binary(max_size=80), max_size=8))
def test_garbage_breaks_a_stream_or_waits_for_more(chunks: list[bytes]) -> None:
    framer = Framer()
    try:
        for chunk in chunks:
            assert all(framer.feed(chunk))
    except SipParseError:
        pass


names = st.sampled_from(["a.test.", "b.test.", ".", "_sip._udp.a.test.", "192.0.2.1", ""])
numbers = st.integers(0, 3)
srvs = st.builds(Srv, priority=numbers, weight=st.integers(0, 65535), port=st.integers(0, 65535), target=names)
naptrs = st.builds(
    Naptr,
    order=numbers,
    preference=numbers,
    flags=st.sampled_from(["s", "S", "a", "u", ""]),
    service=st.sampled_from(["SIP+D2U", "sips+d2t", "SIP+D2T", "SIP+D2S", ""]),
    replacement=names,
)
answers = st.builds(
    Found,
    naptr=st.lists(naptrs, max_size=5).map(tuple),
    srv=st.lists(srvs, max_size=8).map(tuple),
    addresses=st.lists(st.sampled_from(["192.0.2.1", "2001:db8::1"]), max_size=3).map(tuple),
)


@given(records=st.lists(srvs, max_size=12), data=st.data())
def test_ordering_by_weight_loses_nobody_and_respects_priorities(records: list[Srv], data: st.DataObject) -> None:
    ordered = by_weight(records, lambda most: data.draw(st.integers(0, most)))
    assert sorted(map(repr, ordered)) == sorted(map(repr, records))
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)


@given(
    data=st.data(),
    transport=st.none() | st.sampled_from(list(Transport)),
    port=st.sampled_from([0, 5070]),
    secure=st.booleans(),
)
def test_any_answers_lead_somewhere_or_nowhere_in_the_end(
    data: st.DataObject, transport: Transport | None, port: int, secure: bool
) -> None:
    lookup = locate("example.test", port=port, transport=transport, secure=secure, dice=lambda most: most // 2)
    targets: list[Target] = []
    try:
        next(lookup)
        for _ in range(500):
            lookup.send(data.draw(answers))
        raise AssertionError("it asks for ever")
    except StopIteration as end:
        targets = end.value
    assert len(targets) <= MOST_TARGETS
    if secure:
        assert all(target.way.transport is Transport.TLS for target in targets)
