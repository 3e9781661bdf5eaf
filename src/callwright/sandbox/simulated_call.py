"""One call to one simulated telephone: joins its script, its SIP dialog, its sound and its observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import structlog

from callwright.media import offer_answer, tones
from callwright.media.dtmf import KeyReceiver
from callwright.media.offer_answer import Agreed, Direction, NothingInCommon
from callwright.media.rtp import Packet, parse
from callwright.media.sdp import SdpError
from callwright.sandbox.heard import HeardSound, PacketCount
from callwright.sandbox.listening import Listener
from callwright.sandbox.mouth import LAWS, Mouth
from callwright.sandbox.observation import EndedBy, KeyHeard, Observation, RtpSeen, Sounded
from callwright.sandbox.persona import Persona, PlayTone, Press, Reject, Say
from callwright.sandbox.rtp_port import NoFreePort, RtpPort
from callwright.sandbox.script import (
    Answer,
    Command,
    EndCall,
    MakeSound,
    Refuse,
    Ring,
    Script,
    StartEarlyMedia,
)
from callwright.sandbox.voice import Voice
from callwright.sip.core import SipCore
from callwright.sip.event import Acked, ByeDone, Ended, Invited, Reoffered
from callwright.values.errors import PeerError

log = structlog.get_logger()

LINGER_S = 0.5
"""How long a refused or cancelled call is kept for its ACK, which belongs to what was seen."""


class SimulatedCall:
    """Lives from the INVITE until `finished`; the network then writes `observation` and `heard` and forgets it.

    `now` is the loop's clock, `wall` the clock of records.
    """

    def __init__(
        self,
        *,
        core: SipCore,
        handle: str,
        persona: Persona,
        observation: Observation,
        offer: bytes,
        open_port: Callable[[Callable[[bytes], None]], RtpPort],
        mouth: Mouth,
        voice: Voice,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.observation = observation
        self.persona = persona
        self.finished = False
        self._core = core
        self._handle = handle
        self._offer = offer
        self._open_port = open_port
        self._port: RtpPort | None = None
        self._agreed: Agreed | None = None
        self._local_sdp = b""
        self._sdp_version = 1
        self._mouth = mouth
        self._voice = voice
        self._clock = clock
        self._wall = wall
        self._script = Script(persona)
        self._listener = Listener() if persona.listens else None
        self._heard = HeardSound()
        self._count = PacketCount()
        self._key_receiver = KeyReceiver()
        self._speaking = False
        self._first_rtp_at: float | None = None
        self._last_rtp_at: float | None = None
        self._finish_at: float | None = None

    @property
    def handle(self) -> str:
        return self._handle

    def heard(self) -> bytes:
        """What was heard so far, as little-endian sixteen bit samples."""
        return self._heard.pcm_bytes()

    @property
    def awaits_password(self) -> bool:
        """Whether the next INVITE of this call answers our challenge."""
        return self.observation.final_code == 401 and self.observation.ended_at is None

    def begin(self, now: float) -> None:
        """Let the telephone take the call."""
        self._script.begin(now)
        self._obey(now)

    def challenge(self, header: str, now: float) -> None:
        """Ask the caller for a password; `invited_again` follows, or nothing."""
        self.observation.final_code = 401
        self._core.respond(self._handle, 401, headers=(("WWW-Authenticate", header),), now=now)
        self._finish_at = now + 32.0  # as long as a transaction can take (RFC 3261, 64*T1)

    def invited_again(self, event: Invited, now: float, *, allowed: bool) -> None:
        """The INVITE came again after our challenge; `allowed` when the password is right."""
        self._handle, self._offer = event.handle, event.body
        self.observation.headers = list(event.headers)
        self.observation.final_code = None
        self._finish_at = None
        if allowed:
            self.begin(now)
        else:
            self.refuse(Reject(code=403, reason="Forbidden"), now)

    def refuse(self, reject: Reject, now: float) -> None:
        """End the INVITE with a final response that is not an answer."""
        self.observation.final_code = reject.code
        self._core.respond(self._handle, reject.code, reject.reason, headers=reject.headers, now=now)
        self._end(EndedBy.REJECTED, f"{reject.code} {reject.reason}".rstrip(), now, linger_s=LINGER_S)

    def tick(self, now: float) -> None:
        """20 ms passed: send a packet, listen, decide."""
        if self._finish_at is not None and now >= self._finish_at:
            self._finish(now)
        if self.finished:
            return
        self._key_receiver.wake(now)
        self._take_keys(now)
        self._send_sound(now)
        self._script.advance(now)
        self._obey(now)

    def cancel_arriving(self, now: float) -> None:
        """A CANCEL is about to reach the core: the moment to answer first, for the persona that does."""
        if self.persona.answers_cancel:
            self._script.cancelled(now)
            self._obey(now)

    def cancelled(self, now: float, at: float) -> None:
        """The caller gave up at `at`; the core has answered 487."""
        self.observation.final_code = 487
        self._end(EndedBy.CANCELLED, "the caller cancelled", now, at=at, linger_s=LINGER_S)

    def acked(self, event: Acked, at: float) -> None:
        """The ACK of our answer arrived at `at`, with the description when the INVITE had none."""
        if self.observation.acked_at is None:
            self.observation.acked_at = at
        if event.body and self._agreed is None:
            try:
                self._settle(offer_answer.choose(event.body))
            except PeerError as problem:
                log.warning("An ACK brings no usable description.", action="answer_unusable", problem=str(problem))

    def reoffered(self, event: Reoffered, now: float) -> None:
        """A re-INVITE: follow it, or say why not."""
        assert self._port is not None
        if not event.body:
            self._core.answer_reinvite(self._handle, self._local_sdp, now)
            return
        self._sdp_version += 1
        try:
            answer = offer_answer.answer(
                event.body, self._port.host, self._port.port, session_id=self._port.port, version=self._sdp_version
            )
        except (NothingInCommon, SdpError) as problem:
            log.warning("A re-INVITE was refused.", action="reinvite_refused", problem=str(problem))
            self._core.refuse_reinvite(self._handle, 488, "Not Acceptable Here", now)
            return
        self._local_sdp = answer.body
        self._settle(answer.agreed)
        self._core.answer_reinvite(self._handle, answer.body, now)

    def ended(self, event: Ended, now: float, at: float) -> None:
        """The caller hung up; its BYE arrived at `at`."""
        self._end(EndedBy.CALLER, event.reason_header or "the caller hung up", now, at=at)

    def bye_done(self, event: ByeDone, now: float) -> None:
        """Our BYE was answered, or the core hung up by itself."""
        if event.cause:
            self._end(EndedBy.FAILED, event.cause, now)
        elif self.observation.ended_at is not None:
            self._finish(now)

    def stop(self, now: float) -> None:
        """The sandbox stops: hang up, if there is anything to hang up."""
        if self.observation.ended_at is None:
            if self.observation.answered_at is not None:
                self._core.bye(self._handle, now)
            elif self.observation.final_code is None:
                self._core.respond(self._handle, 503, "Service Unavailable", now=now)
            self._end(EndedBy.SANDBOX_STOPPED, "the sandbox was stopped", now)
        self._finish(now)

    # --- what the script decides ---

    def _obey(self, now: float) -> None:
        for command in self._script.take_commands():
            self._do(command, now)

    def _do(self, command: Command, now: float) -> None:
        match command:
            case Ring():
                self.observation.ringing_at = self._wall()
                self._core.respond(self._handle, 180, "Ringing", now=now)
            case StartEarlyMedia():
                if self._describe(now):
                    self._core.respond(self._handle, 183, "Session Progress", body=self._local_sdp, now=now)
            case Answer():
                self._answer(now)
            case Refuse():
                self.refuse(command.reject, now)
            case MakeSound():
                self._make(command.sound)
            case EndCall():
                self._core.bye(self._handle, now)
                self._end(EndedBy.PERSONA, command.why, now, linger_s=None)
            case _:
                assert_never(command)

    def _answer(self, now: float) -> None:
        if not self._describe(now):
            return
        self.observation.answered_at = self._wall()
        self.observation.final_code = 200
        for fork in range(self.persona.forks):
            # The first answer has the tag of the 180, each further one a telephone's of its own (RFC 3261, 13.2.2.4).
            tag = f"fork{fork + 1}" if fork else ""
            self._core.respond(self._handle, 200, "OK", body=self._local_sdp, now=now, to_tag=tag)

    def _make(self, sound: Say | PlayTone | Press) -> None:
        match sound:
            case Say():
                spoken = self._voice.speak(sound.text)
                self._mouth.say(spoken.samples)
                seen = Sounded(what="say", text=sound.text, at=self._wall(), is_speech=spoken.is_speech)
            case PlayTone():
                self._mouth.say(tones.tone(sound.frequencies, sound.ms, sound.level_dbm0))
                text = "+".join(f"{hz:g}" for hz in sound.frequencies) + f" Hz, {sound.ms} ms"
                seen = Sounded(what="tone", text=text, at=self._wall())
            case Press():
                self._mouth.press(sound.keys)
                seen = Sounded(what="press", text=sound.keys, at=self._wall())
            case _:
                assert_never(sound)
        self._speaking = True
        self.observation.sounded.append(seen)
        log.info(
            "A telephone makes a sound.",
            action="sounded",
            call=self.observation.call_id,
            what=seen.what,
            text=seen.text,
        )

    # --- sound ---

    def _describe(self, now: float) -> bool:
        """Open the port and write our description, once; False when the call had to be refused instead."""
        if self._local_sdp:
            return True
        try:
            port = self._port = self._open_port(self._packet)
            if self._offer:
                wanted = Direction.INACTIVE if self.persona.on_hold else Direction.SENDRECV
                answer = offer_answer.answer(self._offer, port.host, port.port, session_id=port.port, direction=wanted)
                self._local_sdp = answer.body
                self._settle(answer.agreed)
            else:
                self._local_sdp = offer_answer.offer(port.host, port.port, session_id=port.port)
        except PeerError as problem:
            log.warning("An offer cannot be answered.", action="offer_refused", problem=str(problem))
            self.refuse(Reject(code=488, reason="Not Acceptable Here"), now)
            return False
        except NoFreePort as problem:
            log.error("A call has no place for its sound.", action="no_free_port", problem=str(problem))
            self._core.respond(self._handle, 503, "Service Unavailable", now=now)
            self.observation.final_code = 503
            self._end(EndedBy.FAILED, str(problem), now, linger_s=LINGER_S)
            return False
        return True

    def _settle(self, agreed: Agreed) -> None:
        self._agreed = agreed
        self._mouth.speak_as(agreed.codec, agreed.dtmf_payload)
        self.observation.codec = agreed.codec.name
        self.observation.remote = f"{agreed.remote[0]}:{agreed.remote[1]}"

    def _send_sound(self, now: float) -> None:
        if self._agreed is None or self._port is None or self.observation.ended_at is not None:
            return
        if self._agreed.direction.sends:
            self._port.send(self._mouth.tick(), self._agreed.remote)
        elif self._mouth.busy:  # the other side holds us: what is said is said to nobody
            self._mouth.tick()
        if self._speaking and not self._mouth.busy:
            self._speaking = False
            self._script.sound_finished(now)

    def _packet(self, datagram: bytes) -> None:
        packet = parse(datagram)
        if packet is None or self._agreed is None:
            return
        now = self._clock()
        self._last_rtp_at = self._wall()
        if self._first_rtp_at is None:
            self._first_rtp_at = self._last_rtp_at
        self._count.add(packet)
        if packet.payload_type == self._agreed.dtmf_payload:
            self._key_receiver.receive(packet.payload, packet.timestamp, now, marker=packet.marker)
            self._take_keys(now)
        elif packet.payload_type == self._agreed.codec.payload and packet.payload:
            self._hear(packet, now)

    def _hear(self, packet: Packet, now: float) -> None:
        assert self._agreed is not None
        samples = self._heard.add(packet, LAWS[self._agreed.codec.name], now)
        if self._listener is not None:
            for hearing in self._listener.hear(samples):
                self._script.heard(hearing, now)

    def _take_keys(self, now: float) -> None:
        for press in self._key_receiver.take_presses():
            at = self._wall() - (now - press.at)
            self.observation.keys_heard.append(KeyHeard(key=press.key, at=at, duration_ms=press.duration_ms))
            log.info("A telephone heard a key.", action="key_heard", call=self.observation.call_id, pressed=press.key)
            self._script.key(press.key, now)
        self._obey(now)

    # --- the end ---

    def _end(
        self, ended_by: EndedBy, why: str, now: float, *, at: float | None = None, linger_s: float | None = 0.0
    ) -> None:
        """Note how it ended, at `at` (None: now). It is finished after `linger_s` seconds, with None by `bye_done`."""
        self._script.over()
        if self.observation.ended_at is None:
            self.observation.ended_at = self._wall() if at is None else at
            self.observation.ended_by = ended_by
            self.observation.end_reason = why
        if linger_s is None:
            return
        self._finish_at = now + linger_s
        if linger_s == 0:
            self._finish(now)

    def _finish(self, now: float) -> None:
        if self.finished:
            return
        self.finished = True
        if self.observation.ended_at is None:
            self.observation.ended_at = self._wall()
            self.observation.ended_by = EndedBy.REJECTED
            self.observation.end_reason = "the caller never gave the password"
        if self._port is not None:
            self._port.close()
        self._key_receiver.finish()
        self._take_keys(now)
        self.observation.heard_s = round(self._heard.seconds, 2)
        self.observation.rtp = replace(
            RtpSeen(**self._count.facts()),
            sent=self._mouth.sent,
            first_received_at=self._first_rtp_at,
            last_received_at=self._last_rtp_at,
        )
