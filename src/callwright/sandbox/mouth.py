"""What a telephone sends: sounds and keys in order, silence in between, one packet every 20 ms."""

from __future__ import annotations

from collections import deque

import numpy as np

from callwright.media import g711, tones
from callwright.media.codec import FRAME_SAMPLES, Codec
from callwright.media.dtmf import KeySender
from callwright.media.g711 import Law, Pcm
from callwright.media.rtp import Packet, build

LAWS = {"PCMU": Law.ULAW, "PCMA": Law.ALAW}


class Mouth:
    """Makes the RTP packets of one stream; `ssrc`, `sequence` and `timestamp` are where it begins.

    Keys go out as RFC 4733 events, or as tone pairs when the caller takes none.
    """

    def __init__(self, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._codec: Codec | None = None
        self._dtmf_payload: int | None = None
        self._silence = b""
        self._queue: deque[Pcm | str] = deque()
        self._offset = 0
        self._keys = KeySender()
        self.sent = 0

    @property
    def busy(self) -> bool:
        """Whether something other than silence is being sent or waits to be."""
        return bool(self._queue) or self._keys.busy

    def speak_as(self, codec: Codec, dtmf_payload: int | None) -> None:
        """Take the codec agreed on, first or anew; `dtmf_payload` None: keys as tones."""
        self._codec, self._dtmf_payload = codec, dtmf_payload
        self._silence = bytes((g711.SILENCE[LAWS[codec.name]],)) * FRAME_SAMPLES

    def say(self, samples: Pcm) -> None:
        """Send samples after everything queued before."""
        if len(samples):
            self._queue.append(np.concatenate((samples, np.zeros(-len(samples) % FRAME_SAMPLES, np.int16))))

    def press(self, keys: str) -> None:
        """Press keys after everything queued before."""
        self._queue.append(keys)

    def tick(self) -> bytes:
        """The packet of this 20 ms; `speak_as` has been called."""
        packet = self._key_packet() or self._sound_packet()
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self.sent += 1
        return build(packet)

    def _key_packet(self) -> Packet | None:
        if not self._keys.busy and self._queue and isinstance(head := self._queue[0], str):
            if self._dtmf_payload is None:
                self._queue[0] = tones.keys(head)
                return None
            self._queue.popleft()
            self._keys.press(head)
        event = self._keys.tick(self._timestamp)
        if event is None or self._dtmf_payload is None:
            return None
        return Packet(
            payload_type=self._dtmf_payload,
            sequence=self._sequence,
            timestamp=event.timestamp,
            ssrc=self._ssrc,
            payload=event.payload,
            marker=event.marker,
        )

    def _sound_packet(self) -> Packet:
        assert self._codec is not None
        payload = self._silence
        if not self._keys.busy and self._queue and not isinstance(head := self._queue[0], str):
            frame = head[self._offset : self._offset + FRAME_SAMPLES]
            payload = g711.encode(frame, LAWS[self._codec.name]).tobytes()
            self._offset += FRAME_SAMPLES
            if self._offset >= len(head):
                self._queue.popleft()
                self._offset = 0
        return Packet(
            payload_type=self._codec.payload,
            sequence=self._sequence,
            timestamp=self._timestamp,
            ssrc=self._ssrc,
            payload=payload,
            # Silence is sent too, so the only talkspurt begins with the first packet (RFC 3551, section 4.1).
            marker=self.sent == 0,
        )
