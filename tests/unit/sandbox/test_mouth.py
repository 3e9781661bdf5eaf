from __future__ import annotations

import numpy as np

from callwright.media import g711
from callwright.media.codec import PCMA, PCMU, Codec
from callwright.media.dtmf import KeyReceiver
from callwright.media.g711 import Law, Pcm
from callwright.media.rtp import Packet, parse
from callwright.sandbox.mouth import Mouth


def mouth(codec: Codec = PCMA, dtmf_payload: int | None = 101) -> Mouth:
    made = Mouth(ssrc=5, sequence=65_534, timestamp=4_294_967_200)
    made.speak_as(codec, dtmf_payload)
    return made


def ticks(of: Mouth, count: int) -> list[Packet]:
    packets = [parse(of.tick()) for _ in range(count)]
    assert None not in packets
    return [packet for packet in packets if packet is not None]


def sound(level: int, frames: float) -> Pcm:
    return np.full(round(frames * 160), level, np.int16)


def test_silence_is_sent_when_there_is_nothing_to_say() -> None:
    packets = ticks(mouth(PCMU), 3)

    assert [packet.payload for packet in packets] == [bytes([g711.SILENCE[Law.ULAW]]) * 160] * 3
    assert [packet.payload_type for packet in packets] == [0, 0, 0]


def test_sequence_and_timestamp_go_on_through_their_wrap_and_only_the_first_packet_is_marked() -> None:
    packets = ticks(mouth(), 4)

    assert [packet.sequence for packet in packets] == [65_534, 65_535, 0, 1]
    assert [packet.timestamp for packet in packets] == [4_294_967_200, 64, 224, 384]
    assert [packet.marker for packet in packets] == [True, False, False, False]


def test_sounds_follow_each_other_padded_to_whole_packets() -> None:
    speaker = mouth()
    speaker.say(sound(1000, 1.5))
    speaker.say(sound(-1000, 1))

    heard = [g711.decode(np.frombuffer(p.payload, np.uint8), Law.ALAW) for p in ticks(speaker, 4)]

    assert [(int(frame[0]), int(frame[-1])) for frame in heard] == [(1008, 1008), (1008, 8), (-1008, -1008), (8, 8)]
    assert not speaker.busy


def test_keys_are_events_in_their_place_between_sounds() -> None:
    speaker = mouth()
    speaker.say(sound(1000, 2))
    speaker.press("5#")
    speaker.say(sound(1000, 1))
    assert speaker.busy

    packets = ticks(speaker, 60)
    receiver = KeyReceiver()
    for number, packet in enumerate(packets):
        if packet.payload_type == 101:
            receiver.receive(packet.payload, packet.timestamp, number * 0.02, marker=packet.marker)

    presses = receiver.take_presses()
    assert [(press.key, press.duration_ms) for press in presses] == [("5", 100), ("#", 100)]
    loud = [n for n, p in enumerate(packets) if p.payload_type == 8 and p.payload[0] != g711.SILENCE[Law.ALAW]]
    events = [n for n, p in enumerate(packets) if p.payload_type == 101]
    assert loud[:2] == [0, 1]
    assert loud[2] > events[-1]
    assert not speaker.busy


def test_keys_are_tones_for_a_caller_without_events() -> None:
    speaker = mouth(dtmf_payload=None)
    speaker.press("1")

    packets = ticks(speaker, 10)
    wave = np.concatenate([g711.decode(np.frombuffer(p.payload, np.uint8), Law.ALAW) for p in packets])

    peaks = np.argsort(np.abs(np.fft.rfft(wave[:800])))[-2:] * 10
    assert sorted(int(peak) for peak in peaks) == [700, 1210]
    assert {packet.payload_type for packet in packets} == {8}


def test_a_new_codec_is_spoken_from_the_next_packet_on() -> None:
    speaker = mouth(PCMA)
    speaker.say(sound(1000, 2))
    first = ticks(speaker, 1)[0]
    speaker.speak_as(PCMU, 96)
    second = ticks(speaker, 1)[0]

    assert (first.payload_type, second.payload_type) == (8, 0)
    assert int(g711.decode(np.frombuffer(second.payload, np.uint8), Law.ULAW)[0]) == 988
