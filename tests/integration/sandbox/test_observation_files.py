from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from callwright.sandbox.observation import (
    Direction,
    EndedBy,
    KeyHeard,
    Observation,
    RtpSeen,
    SipSeen,
    Sounded,
    write_observation,
)
from callwright.sandbox.observations import (
    RingLine,
    UnreadableObservation,
    read_heard,
    read_observation,
    read_observations,
    read_rings,
)
from callwright.sandbox.personas import HELLO
from callwright.sandbox.phrases import file_name, missing, wanted
from callwright.sandbox.voice import UnusablePhrase, Voice, read_phrase


def observation(call_id: str = "a@b", dialled: str = "999005550001", invited_at: float = 1795324030.25) -> Observation:
    return Observation(
        call_id=call_id,
        dialled=dialled,
        persona="test",
        persona_number="0001",
        caller="sip:1@127.0.0.1",
        invited_at=invited_at,
        answered_at=invited_at + 1,
        ended_at=invited_at + 2,
        ended_by=EndedBy.CALLER,
        headers=[("X-Test", "ü")],
        messages=[SipSeen(at=invited_at, direction=Direction.RECEIVED, message="INVITE", cseq="1 INVITE")],
        keys_heard=[KeyHeard(key="1", at=1.5, duration_ms=100), KeyHeard(key="#", at=1.7, duration_ms=80)],
        sounded=[Sounded(what="press", text="12", at=1.0), Sounded(what="say", text="x", at=2.0, is_speech=True)],
        rtp=RtpSeen(sent=1, received=2, lost=3),
    )


def test_an_observation_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = observation()

    path = write_observation(tmp_path, written, np.arange(-800, 800, dtype="<i2").tobytes())

    assert path.name == "2026-11-22_05-07-10.250_" + path.name[24:]
    assert read_observation(path) == written
    assert written.wav == path.with_suffix(".wav").name
    assert list(read_heard(tmp_path, written)) == list(range(-800, 800))
    assert (written.keys, written.keys_sent) == ("1#", "12")


def test_what_was_heard_is_an_ordinary_wav_file(tmp_path: Path) -> None:
    path = write_observation(tmp_path, observation(), bytes(320))

    with wave.open(str(path.with_suffix(".wav")), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (8000, 1, 2, 160)


def test_a_call_that_heard_nothing_has_no_wav(tmp_path: Path) -> None:
    written = observation()
    write_observation(tmp_path, written, b"")

    assert written.wav is None
    assert list(tmp_path.glob("*.wav")) == []
    assert len(read_heard(tmp_path, written)) == 0


def test_observations_are_found_by_number_and_call_in_the_order_of_their_invites(tmp_path: Path) -> None:
    for call_id, dialled, at in (("2", "0002", 20.0), ("1", "0001", 10.0), ("3", "0001", 30.0)):
        write_observation(tmp_path, observation(call_id, dialled, at), b"")

    assert [seen.call_id for seen in read_observations(tmp_path)] == ["1", "2", "3"]
    assert [seen.call_id for seen in read_observations(tmp_path, dialled="0001")] == ["1", "3"]
    assert [seen.dialled for seen in read_observations(tmp_path, call_id="2")] == ["0002"]


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"call_id": 5}')

    with pytest.raises(UnreadableObservation, match=r"x\.json is not an observation"):
        read_observations(tmp_path)


def test_a_ring_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    line = '{"at":1.5,"call_id":"a","dialled":"1","caller":"sip:x"}\n'
    (tmp_path / "rings.jsonl").write_text(line + line[:20])

    assert read_rings(tmp_path) == [RingLine(at=1.5, call_id="a", dialled="1", caller="sip:x")]
    assert read_rings(tmp_path / "none") == []


def write_wav(path: Path, *, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.writeframes(np.full(800 * channels, 500, "<i2").tobytes())


def test_a_rendered_phrase_is_spoken(tmp_path: Path) -> None:
    write_wav(tmp_path / file_name(HELLO))

    spoken = Voice(directory=tmp_path).speak(HELLO)

    assert spoken.is_speech
    assert list(spoken.samples) == [500] * 800
    assert HELLO not in [phrase.text for phrase in missing(tmp_path)]
    assert len(missing(tmp_path)) == len(wanted()) - 1


def test_tones_stand_in_for_a_phrase_nobody_rendered(tmp_path: Path) -> None:
    for directory in (tmp_path, None):
        spoken = Voice(directory=directory).speak("two words")

        assert not spoken.is_speech
        assert np.sqrt(np.mean(spoken.samples.astype(float) ** 2)) > 1000


@pytest.mark.parametrize("kind", [{"rate": 16_000}, {"channels": 2}])
def test_a_phrase_of_another_kind_is_refused(tmp_path: Path, kind: dict[str, int]) -> None:
    write_wav(tmp_path / "p.wav", **kind)

    with pytest.raises(UnusablePhrase, match="not 8 kHz, mono, 16 bit"):
        read_phrase(tmp_path / "p.wav")


def test_a_broken_phrase_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.wav").write_bytes(b"RIFF")

    with pytest.raises(UnusablePhrase, match="cannot be read"):
        read_phrase(tmp_path / "p.wav")
