"""Packets of other lengths cut from frames of 20 ms."""

from __future__ import annotations

import pytest

from callwright.media.packing import Cut, Packer, packet_ms


def frames(count: int, octets: int = 160) -> list[bytes]:
    return [bytes([number]) * octets for number in range(count)]


def cut_all(packer: Packer, count: int, *, start: int = 0, octets: int = 160) -> list[Cut]:
    return [
        cut
        for number, frame in enumerate(frames(count, octets))
        for cut in packer.add(frame, (start + 160 * number) & 0xFFFFFFFF, marker=number == 0)
    ]


@pytest.mark.parametrize("octets", [160, 320], ids=["G.711", "L16"])
@pytest.mark.parametrize("ms", [10, 30, 40, 50, 60])
def test_every_sample_goes_out_once_with_its_own_timestamp(ms: int, octets: int) -> None:
    start = 2**32 - 400
    cuts = cut_all(Packer(ms=ms, frame_octets=octets), 30, start=start, octets=octets)
    assert b"".join(cut.payload for cut in cuts) == b"".join(frames(30, octets))
    assert {len(cut.payload) for cut in cuts} == {octets * ms // 20}
    assert [cut.timestamp for cut in cuts] == [(start + 8 * ms * number) & 0xFFFFFFFF for number in range(600 // ms)]
    assert [cut.marker for cut in cuts] == [True] + [False] * (len(cuts) - 1)


def test_what_waits_can_be_had_early() -> None:
    packer = Packer(ms=60, frame_octets=160)
    assert cut_all(packer, 2, start=1000) == []
    assert packer.rest(1320) == [Cut(payload=b"".join(frames(2)), timestamp=1000, marker=True)]
    assert packer.rest(1320) == []
    assert [cut.timestamp for cut in cut_all(packer, 3, start=5000)] == [5000]


@pytest.mark.parametrize(
    ("wanted", "sent"), [(1, 10), (10, 10), (20, 20), (24, 20), (30, 30), (45, 40), (60, 60), (200, 60)]
)
def test_the_nearest_length_we_send_is_taken(wanted: int, sent: int) -> None:
    assert packet_ms(wanted) == sent
