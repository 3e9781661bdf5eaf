"""G.711 against values of the standard's tables and against libsndfile's independent tables."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from callwright.media import g711
from callwright.media.g711 import Law

OCTETS = np.arange(256, dtype=np.uint8)


# ITU-T G.711: the value at the decoder output scaled to sixteen bits, for the octet as it is on the line.
@pytest.mark.parametrize(
    ("law", "octet", "sample"),
    [
        (Law.ALAW, 0xD5, 8),
        (Law.ALAW, 0x55, -8),
        (Law.ALAW, 0xAA, 32256),
        (Law.ALAW, 0x2A, -32256),
        (Law.ALAW, 0x80, 5504),
        (Law.ULAW, 0xFF, 0),
        (Law.ULAW, 0x7F, 0),
        (Law.ULAW, 0x80, 32124),
        (Law.ULAW, 0x00, -32124),
        (Law.ULAW, 0xF0, 120),
    ],
)
def test_octets_stand_for_the_values_of_the_standard(law: Law, octet: int, sample: int) -> None:
    assert g711.decode(np.array([octet], np.uint8), law).tolist() == [sample]


@pytest.mark.parametrize(("law", "subtype"), [(Law.ALAW, "ALAW"), (Law.ULAW, "ULAW")])
def test_decoding_agrees_with_an_independent_decoder(law: Law, subtype: str) -> None:
    theirs, _ = soundfile.read(
        io.BytesIO(OCTETS.tobytes()), dtype="int16", format="RAW", subtype=subtype, samplerate=8000, channels=1
    )
    assert np.array_equal(g711.decode(OCTETS, law), theirs)


def test_a_decoded_octet_is_encoded_to_itself() -> None:
    assert np.array_equal(g711.encode(g711.decode(OCTETS, Law.ALAW), Law.ALAW), OCTETS)
    ulaw = g711.encode(g711.decode(OCTETS, Law.ULAW), Law.ULAW)
    # Mu-law has two zeros; the positive one is sent.
    assert np.array_equal(ulaw[OCTETS != 0x7F], OCTETS[OCTETS != 0x7F])
    assert ulaw[0x7F] == 0xFF


@pytest.mark.parametrize("law", Law)
def test_every_sample_is_encoded_to_a_neighbour_within_half_a_step(law: Law) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32)
    values = np.sort(np.unique(g711.decode(OCTETS, law)).astype(np.int32))
    coded = g711.decode(g711.encode(samples.astype(np.int16), law), law).astype(np.int32)
    right = np.clip(np.searchsorted(values, samples), 1, len(values) - 1)
    assert np.all((coded == values[right]) | (coded == values[right - 1]))
    # Sixteen steps to a segment whose values double; below the first one, and in rounding to 13 or 14 bits, a little.
    inside = np.abs(samples) <= values[-1]
    assert np.all(np.abs(coded - samples)[inside] <= np.abs(samples)[inside] / 32 + 12)


@pytest.mark.parametrize("law", Law)
def test_encoding_is_monotonic(law: Law) -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    assert np.all(np.diff(g711.decode(g711.encode(samples, law), law).astype(np.int32)) >= 0)


def test_silence_is_the_octet_of_zero_and_shapes_are_kept() -> None:
    assert g711.SILENCE == (0xFF, 0xD5)
    assert g711.decode(g711.encode(np.zeros((3, 4), np.int16), Law.ULAW), Law.ULAW).shape == (3, 4)


def test_rows_are_decoded_each_by_its_own_law() -> None:
    octets = np.arange(256, dtype=np.uint8)[None].repeat(3, axis=0)
    for laws in ([1, 0, 1], [0, 0, 0], [1, 1, 1]):
        rows = g711.decode_rows(octets, np.array(laws, np.uint8))
        assert [row.tolist() for row in rows] == [g711.decode(octets[0], Law(law)).tolist() for law in laws]
    assert g711.decode_rows(octets[:0], np.zeros(0, np.uint8)).shape == (0, 256)
