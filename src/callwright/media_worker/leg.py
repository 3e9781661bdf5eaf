"""One leg in the worker: its row, sockets, player, keys, files and what RTCP told about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from callwright.media import rtcp
from callwright.media.codec import DTMF_PAYLOAD, FRAME_MS, SAMPLE_RATE
from callwright.media.dtmf import KeyDown, KeyReceiver, KeySender
from callwright.media.matrix import Playout
from callwright.media.packing import Packer
from callwright.media.protocol import LegStats, Record
from callwright.media.reception import Reception
from callwright.media_worker.player import Player
from callwright.media_worker.ports import SocketPair
from callwright.media_worker.probation import Probation
from callwright.media_worker.recorder import Tape

_LAST_PORT = 65_535


@dataclass(slots=True, eq=False)
class Recording:
    """One `record` order. `tape` is None until the beep is over, `how` until it is known how it ends."""

    order: Record
    tape: Tape | None = None
    how: str | None = None


@dataclass(slots=True, eq=False)
class Leg:
    """Everything of one leg that is not in the arrays. `probation` knows the source its RTP comes from, and `locked`
    says whether the kernel keeps others out. `turn` is when in five seconds its RTCP report is sent. Keys in the sound
    are told when `tone_keys` says so; `last_event` is the last key heard otherwise, and `tone_told` whether the tone
    that is down was told.
    """

    number: int
    row: int
    sockets: SocketPair
    cname: str
    player: Player
    keys: KeySender
    presses: KeyReceiver = field(default_factory=KeyReceiver)
    connected: bool = False
    remote: tuple[str, int] | None = None
    locked: bool = False
    probation: Probation = field(default_factory=Probation)
    dtmf_payload: int | None = None
    recording: Recording | None = None
    tape: Tape | None = None
    packer: Packer | None = None
    mixes: bool = False
    mutes: bool = False
    partner: Leg | None = None
    relay_keys: bool = False
    tone_keys: bool = False
    tone_told: bool = False
    last_event: KeyDown | None = None
    open_tapes: int = 0
    closing: bool = False
    stray: int = 0
    turn: int = 0
    round_trip_s: float | None = None
    sender_report: tuple[int, float] | None = None
    reported: tuple[int, int] = (0, 0)

    @property
    def hears_tones(self) -> bool:
        """Whether keys are looked for in its sound."""
        return self.tone_keys or (self.mutes and self.tape is not None)

    @property
    def hears(self) -> bool:
        """Whether anything is done with the sound it receives."""
        recording = self.recording is not None and self.recording.tape is not None
        return recording or self.tape is not None or self.partner is not None or self.hears_tones

    @property
    def target(self) -> tuple[str, int] | None:
        """Where RTP goes: the source it comes from, or the negotiated address until some came."""
        return self.probation.current or self.remote

    def event_types(self) -> tuple[int, ...]:
        """Payload types that carry keys: the peer's, and the one we offered, as some answer with another."""
        if self.dtmf_payload is None:
            return ()
        return (self.dtmf_payload,) if self.dtmf_payload == DTMF_PAYLOAD else (self.dtmf_payload, DTMF_PAYLOAD)

    def rtcp_target(self) -> tuple[str, int] | None:
        """The port above RTP's (RFC 3550, section 11), if there is one."""
        if self.target is None or self.target[1] >= _LAST_PORT:
            return None
        return self.target[0], self.target[1] + 1

    def report(self, playout: Playout, reception: Reception, now: float, wall: float, *, bye: bool = False) -> bytes:
        """Build this leg's next RTCP packet; `now` is the reception's clock, `wall` the epoch time."""
        counts = reception.counts(self.row)
        sent = int(playout.sent[self.row])
        length_ms = FRAME_MS if self.packer is None else self.packer.ms
        sender = None
        if sent:
            sender = rtcp.SenderInfo(
                at=wall,
                timestamp=int(playout.timestamp[self.row]),
                packets=sent,
                octets=sent * playout.octets(self.row) * length_ms // FRAME_MS,
            )
        block = None
        if counts.received:
            expected, received = counts.expected - self.reported[0], counts.received - self.reported[1]
            self.reported = (counts.expected, counts.received)
            middle, arrived = self.sender_report or (0, now)
            block = rtcp.ReportBlock(
                ssrc=counts.ssrc,
                fraction_lost=max(expected - received, 0) / expected if expected > 0 else 0.0,
                lost=counts.expected - counts.received,
                highest=counts.highest,
                jitter=int(counts.jitter_samples),
                last_sender_report=middle,
                delay_s=now - arrived,
            )
        build = rtcp.build_bye if bye else rtcp.build_report
        return build(int(playout.ssrc[self.row]), self.cname, sender, block)

    def take_reports(self, datagram: bytes, ssrc: int, now: float, wall: float) -> None:
        """Read the far end's RTCP."""
        for item in rtcp.parse(datagram):
            if isinstance(item, rtcp.Bye):
                continue
            if item.sender is not None:
                self.sender_report = (rtcp.ntp_middle(item.sender.at), now)
            for block in item.blocks:
                trip = rtcp.round_trip_s(block, wall) if block.ssrc == ssrc else None
                self.round_trip_s = self.round_trip_s if trip is None else trip

    def stats(self, playout: Playout, reception: Reception, to_wall: float) -> LegStats:
        """What the node is told when the leg closes; `to_wall` turns the reception's clock into epoch time."""
        counts = reception.counts(self.row)
        remote_host, remote_port = self.target or ("", 0)
        return LegStats(
            packets_sent=int(playout.sent[self.row]),
            packets_received=counts.received,
            packets_lost=counts.lost,
            packets_ignored=counts.ignored + self.stray,
            jitter_ms=round(counts.jitter_samples * 1000 / SAMPLE_RATE, 3),
            round_trip_ms=None if self.round_trip_s is None else round(max(self.round_trip_s, 0.0) * 1000, 3),
            first_rtp_at=None if counts.first_at is None else counts.first_at + to_wall,
            last_rtp_at=None if counts.last_at is None else counts.last_at + to_wall,
            remote_host=remote_host,
            remote_port=remote_port,
        )
