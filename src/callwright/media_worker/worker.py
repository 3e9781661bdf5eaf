"""The worker's loop: a tick every 20 ms on an absolute schedule, and between ticks datagrams, commands, finished work.

In a tick every connected leg sends one packet and every leg that is listened to gives one frame to its recordings.
While there are legs in use nothing wakes the loop but the time, so that the node's orders cost it no waking.
Everything else is an event of one leg and handled in plain Python. Threads (sound loaders, the recorder) hand their
results over through queues that the loop empties; the loop itself never waits for a file.
"""

from __future__ import annotations

import resource
import secrets
import socket
import time
from collections import deque
from dataclasses import replace
from typing import assert_never

import numpy as np

from callwright.media import dtmf, rtp
from callwright.media import protocol as wire
from callwright.media.arena import Arena
from callwright.media.codec import CODINGS, FRAME_MS, FRAME_OCTETS
from callwright.media.matrix import Playout
from callwright.media.packing import Packer, packet_ms
from callwright.media.reception import Reception
from callwright.media.sounds import Keys
from callwright.media_worker import loops
from callwright.media_worker.control import Control, NodeGone
from callwright.media_worker.joints import Joints
from callwright.media_worker.key_desk import KeyDesk
from callwright.media_worker.leg import Leg
from callwright.media_worker.player import Player, Playlist
from callwright.media_worker.ports import NoPortError, PortPool
from callwright.media_worker.recorder import Recorder
from callwright.media_worker.recording_desk import RecordingDesk
from callwright.media_worker.sockets import Batch, Sockets, send_quietly
from callwright.media_worker.sounds import ARENA_ROWS, SoundCache, SoundError

TICK_S = FRAME_MS / 1000
MAX_LEGS = 4096
LATE_S = 0.005
_READ_EVERY_S = 0.01
_OBEY_S = 0.005
_LINGER_S = 1.0
"""So long after the last leg it goes on looking by itself: where calls are short, the next one follows soon."""
_READINGS = 8
_FULL_BATCH = 4
_GIVE_UP_TICKS = 10
_RTCP_TICKS = 250
_RTCP_FIRST_TICKS = 50
_RTCP_SPREAD = 7
_WATCH_TICKS = 50
_OLDEST_S = 0.2
_LOOK_AROUND_S = 1.0
_LAST_WRITES_S = 5.0
_NOWHERE = ("0.0.0.0", "::")


class Worker:
    """All legs of one process."""

    def __init__(self, control: Control, configuration: wire.Configure) -> None:
        self._control = control
        self._no_rtp_s = configuration.no_rtp_s
        self._ports = PortPool(configuration.host, configuration.first_port, configuration.end_port)
        self._capacity = max(min(MAX_LEGS, self._ports.size), 1)
        arena = Arena(ARENA_ROWS)
        self._playout = Playout(self._capacity, arena)
        self._reception = Reception(self._capacity)
        self._cache = SoundCache(arena)
        self._recorder = Recorder()
        self._loops = loops.best(self._capacity)
        self._sockets = Sockets(self._loops, self._accepted)
        self._cname = f"{secrets.token_hex(6)}@{configuration.host}"
        self._legs: dict[int, Leg] = {}
        self._fresh: set[int] = set()
        self._busy_until = 0.0
        self._by_row: list[Leg | None] = [None] * self._capacity
        self._desk = RecordingDesk(
            self._playout,
            self._recorder,
            self._by_row,
            say=control.say,
            attend=self._attend,
            files_closed=self._finish_closing,
        )
        self._joints = Joints(self._playout)
        self._keys = KeyDesk(self._by_row, self._desk, say=control.say, relay=self._send_keys)
        self._free_rows = list(range(self._capacity - 1, -1, -1))
        self._inbox: deque[wire.Command] = deque()
        self._keying: set[Leg] = set()
        self._packing: set[Leg] = set()
        self._rtcp_turns: list[set[Leg]] = [set() for _ in range(_RTCP_TICKS)]
        self._expected_since = np.full(self._capacity, np.inf)
        self._missed_at = np.zeros(self._capacity)
        self._ticks = self._late_ticks = self._sent = self._received = 0
        self._worst_late_s = 0.0
        self._to_wall = time.time() - time.monotonic()
        control.say(wire.Ready(legs=self._capacity))

    def run(self) -> None:
        """Serve until the node is gone, then end every leg and close every file."""
        try:
            self._loop()
        except NodeGone:
            self._end()

    def _loop(self) -> None:
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if self._in_use:
                self._busy_until = now + _LINGER_S
            elif now >= self._busy_until and not self._inbox:
                self._control.flush()
                if self._control.wait(_READ_EVERY_S if self._control.unsent else None):
                    self._inbox.extend(self._control.read())
                now = time.monotonic()
                due = now + TICK_S
            if now >= due:
                due = self._keep_time(now, due)
                self._recorder.hold()
                self._tick(now)
                self._recorder.go_on()
            self._read(time.monotonic())
            self._obey_all(time.monotonic())
            self._cache.take_loaded()
            self._recorder.take_closed()
            self._control.flush()
            if now < self._busy_until:
                pause = 0.0 if self._inbox else min(due - time.monotonic(), _READ_EVERY_S)
                if pause > 0:
                    time.sleep(pause)
                self._inbox.extend(self._control.read())

    @property
    def _in_use(self) -> int:
        """How many legs are more than opened in advance."""
        return len(self._legs) - len(self._fresh)

    def _keep_time(self, now: float, due: float) -> float:
        """Note how late this tick is; return when the next one is due. After a long stop the lost ticks are not made
        up for: their packets would only burst.
        """
        late = now - due
        self._to_wall = time.time() - now
        self._ticks += 1
        self._late_ticks += late > LATE_S
        self._worst_late_s = max(self._worst_late_s, late)
        missed = int(late / TICK_S)
        if missed >= _GIVE_UP_TICKS:
            self._playout.skip(missed)
            due += missed * TICK_S
        return due + TICK_S

    # One tick

    def _tick(self, now: float) -> None:
        playout = self._playout
        events: dict[Leg, dtmf.EventPacket] = {}
        for leg in self._keying:
            packet = leg.keys.tick(int(playout.timestamp[leg.row]))
            if packet is not None:
                events[leg] = packet
        heard = self._reception.listened
        frames = self._reception.frames(heard)
        over = playout.tick()
        self._joints.carry(heard, frames, self._reception.wide_rows, self._reception.wide_frames)
        self._send(events)
        self._keys.hear_sound(heard, frames, now, self._to_wall)
        self._desk.capture(heard, frames)
        for row in over.tolist():
            if (player_of := self._by_row[row]) is not None:
                player_of.player.run_over()
                self._watch_keys(player_of)
        for leg in [leg for leg in self._keying if not leg.keys.busy]:
            leg.player.keys_over()
            self._watch_keys(leg)
        self._keys.wake(now, self._to_wall)
        for leg in self._rtcp_turns[self._ticks % _RTCP_TICKS]:
            self._send_report(leg, now)
        for turn in range(self._ticks % _WATCH_TICKS, _RTCP_TICKS, _WATCH_TICKS):
            for leg in self._rtcp_turns[turn]:
                if leg.locked and leg.probation.wants_a_look(now):
                    self._look_around(leg)
        if self._ticks % _WATCH_TICKS == 0:
            self._watch_rtp(now)

    def _send(self, events: dict[Leg, dtmf.EventPacket]) -> None:
        rows, lengths = self._playout.rows, self._playout.lengths
        if events or self._packing:
            lengths = lengths.copy()
            for leg in events.keys() | self._packing:
                at = self._playout.place_of(leg.row)
                if at is not None:
                    # It goes out in another shape; the sound stays where it is for the recordings.
                    lengths[at] = 0
                    self._send_instead(leg, self._playout.packet(at), events.get(leg))
        self._loops.send(rows, self._playout.packets, lengths)
        self._sent += len(rows)

    def _send_instead(self, leg: Leg, packet: rtp.Packet, event: dtmf.EventPacket | None) -> None:
        """Send a key's packet in place of one of sound, or packets of the length the far end wants."""
        if event is None:
            assert leg.packer is not None
            cuts = leg.packer.add(packet.payload, packet.timestamp, marker=packet.marker)
        else:
            cuts = leg.packer.rest(packet.timestamp) if leg.packer is not None else []
        packets = [replace(packet, payload=cut.payload, timestamp=cut.timestamp, marker=cut.marker) for cut in cuts]
        if event is not None and leg.dtmf_payload is not None:
            key = replace(packet, payload=event.payload, timestamp=event.timestamp, marker=event.marker)
            packets.append(replace(key, payload_type=leg.dtmf_payload))
        for number, each in enumerate(packets):
            sequence = (packet.sequence + number) & 0xFFFF
            self._loops.send_one(leg.row, rtp.build(replace(each, sequence=sequence)))
        self._playout.sent_instead(leg.row, len(packets))

    def _watch_rtp(self, now: float) -> None:
        heard_at = np.maximum(self._reception.last_at, self._expected_since)
        for row in np.flatnonzero(now - heard_at >= _LOOK_AROUND_S).tolist():
            if (leg := self._by_row[row]) is not None:
                self._look_around(leg)
        silent = (now - heard_at >= self._no_rtp_s) & (self._missed_at < heard_at)
        for row in np.flatnonzero(silent).tolist():
            if (leg := self._by_row[row]) is not None:
                self._missed_at[row] = now
                self._control.say(wire.RtpLost(leg=leg.number, seconds=round(now - float(heard_at[row]), 3)))

    def _look_around(self, leg: Leg) -> None:
        """Hear other sources than the leg's own as well."""
        if leg.locked:
            counts = self._reception.counts(leg.row)
            heard_at = max(float(self._reception.last_at[leg.row]), float(self._expected_since[leg.row]))
            leg.probation.look(heard_at, counts.ssrc, counts.highest & 0xFFFF)
            self._sockets.open_up(leg)

    # What arrives

    def _read(self, now: float) -> None:
        for _ in range(_READINGS):
            batch, waiting, reports, anything = self._sockets.read(now)
            for received in (batch, *waiting) if batch is not None else ():
                self._receive(received, now)
            for leg, datagram in reports:
                leg.take_reports(datagram, int(self._playout.ssrc[leg.row]), now, now + self._to_wall)
            # What trickles in while the rest is worked on can wait: a batch costs much the same however small it is.
            if not anything or (batch is not None and _FULL_BATCH * len(batch.rows) < self._in_use):
                return

    def _obey_all(self, now: float) -> None:
        """Carry out what the node has asked for; of a burst only so much that the tick is not held up."""
        while self._inbox:
            self._obey(self._inbox.popleft(), now)
            if time.monotonic() - now > _OBEY_S:
                return

    def _receive(self, batch: Batch, now: float) -> None:
        self._received += len(batch.rows)
        # The kernel's times are on the wall clock, which may be set; what it says may be off by a step then.
        came = np.clip(batch.stamps - self._to_wall, now - _OLDEST_S, now)
        heard = self._reception.receive(batch.rows, batch.packets, batch.lengths, np.where(batch.stamps > 0, came, now))
        for index in (*heard.events.tolist(), *heard.unusual.tolist()):
            leg = self._by_row[int(batch.rows[index])]
            packet = rtp.parse(batch.packets[index, : batch.lengths[index]].tobytes())
            if leg is None or packet is None:
                continue
            if packet.payload_type in leg.event_types():
                self._keys.hear_packet(leg, packet, now, self._to_wall)
            else:
                self._reception.receive_unusual(leg.row, packet)

    def _accepted(self, leg: Leg, datagram: bytes) -> rtp.Packet | None:
        packet = rtp.parse(datagram)
        return packet if packet and self._reception.understands(leg.row, packet.payload_type) else None

    # Commands

    def _obey(self, command: wire.Command, now: float) -> None:
        if isinstance(command, wire.OpenLeg):
            self._open(command.leg, now)
        elif isinstance(command, wire.AskReport):
            self._control.say(self._report())
        elif isinstance(command, wire.Ping):
            self._control.say(wire.Pong())
        elif isinstance(command, wire.Configure):
            raise RuntimeError("a media worker is configured once")
        else:
            leg = self._legs.get(command.leg)
            self._fresh.discard(command.leg)
            # A command may cross the close of its leg.
            if leg is not None and not leg.closing:
                self._command(leg, command, now)

    def _command(
        self,
        leg: Leg,
        command: wire.ConnectLeg
        | wire.Play
        | wire.StopPlayback
        | wire.SendKeys
        | wire.Record
        | wire.StopRecording
        | wire.RecordLeg
        | wire.JoinLegs
        | wire.PartLegs
        | wire.CloseLeg,
        now: float,
    ) -> None:
        match command:
            case wire.ConnectLeg():
                self._connect(leg, command, now)
            case wire.Play():
                self._play(leg, command)
            case wire.StopPlayback():
                leg.player.stop(command.playback)
                self._watch_keys(leg)
            case wire.SendKeys():
                self._send_keys(leg, command.digits)
            case wire.Record():
                self._desk.record(leg, command)
            case wire.StopRecording():
                if leg.recording is not None and leg.recording.order.recording == command.recording:
                    self._desk.stop(leg, "stopped")
            case wire.RecordLeg():
                self._desk.record_leg(leg, command.path, mixed=command.mixed, mute_keys=command.mute_keys)
            case wire.JoinLegs():
                self._join(leg, command)
            case wire.PartLegs():
                self._part(leg)
            case wire.CloseLeg():
                self._close(leg, now)
            case _:
                assert_never(command)

    def _open(self, number: int, now: float) -> None:
        if not self._free_rows:
            self._control.say(
                wire.LegRefused(leg=number, reason=f"the media worker already has {self._capacity} legs, its limit")
            )
            return
        try:
            sockets = self._ports.open(now)
        except NoPortError as error:
            self._control.say(wire.LegRefused(leg=number, reason=str(error)))
            return
        row = self._free_rows.pop()
        keys = dtmf.KeySender()
        player = Player(row, self._playout, self._cache, keys)
        leg = Leg(number=number, row=row, sockets=sockets, cname=self._cname, player=player, keys=keys)
        self._legs[number] = leg
        self._fresh.add(number)
        self._by_row[row] = leg
        chance = secrets.randbits(78)
        self._playout.attach(row, ssrc=chance & 0xFFFFFFFF, sequence=chance >> 32 & 0x7FFF, timestamp=chance >> 47)
        self._reception.attach(row)
        self._expected_since[row] = np.inf
        self._missed_at[row] = 0.0
        self._control.say(wire.LegOpened(leg=number, port=sockets.port))

    def _connect(self, leg: Leg, command: wire.ConnectLeg, now: float) -> None:
        coding = CODINGS[command.coding]
        remote = (command.host, command.port)
        # Port 0 or an address of zeros is no place to send to: an old way to hold (RFC 3264, 8.4). The last one stays.
        reachable = command.port != 0 and command.host not in _NOWHERE
        leg.probation.signalled_by = command.signalled_by
        if reachable and remote != leg.remote:
            leg.remote = remote
            leg.probation.negotiate(remote)
            self._sockets.open_up(leg)
        leg.probation.learn(now)
        if leg.probation.wants_a_look(now):
            self._look_around(leg)
        leg.dtmf_payload = command.dtmf_payload
        self._set_packet_length(leg, packet_ms(command.ptime_ms), FRAME_OCTETS[coding])
        self._reception.set_stream(leg.row, coding=coding, payload_type=command.payload, event_types=leg.event_types())
        leg.player.hold()
        self._playout.set_stream(
            leg.row, coding=coding, payload_type=command.payload, sending=command.send and reachable
        )
        self._sockets.listen(leg, now + self._to_wall)
        leg.player.set_stream(coding, events=leg.dtmf_payload is not None)
        leg.tone_keys = command.tone_keys
        self._attend(leg)
        self._watch_keys(leg)
        self._expected_since[leg.row] = now if command.receive else np.inf
        if not leg.connected:
            leg.connected = True
            leg.turn = (self._ticks + _RTCP_FIRST_TICKS + leg.row * _RTCP_SPREAD) % _RTCP_TICKS
            self._rtcp_turns[leg.turn].add(leg)

    def _set_packet_length(self, leg: Leg, ms: int, frame_octets: int) -> None:
        if ms == FRAME_MS:
            leg.packer = None
            self._packing.discard(leg)
        else:
            leg.packer = Packer(ms=ms, frame_octets=frame_octets)
            self._packing.add(leg)

    def _play(self, leg: Leg, command: wire.Play) -> None:
        def done(how: str, error: SoundError | None) -> None:
            self._control.say(
                wire.PlaybackDone(
                    leg=leg.number,
                    playback=command.playback,
                    how=how,
                    path=error.path if error else "",
                    reason=error.reason if error else "",
                )
            )

        leg.player.add(Playlist(command.sounds, done, number=command.playback))
        self._watch_keys(leg)

    def _send_keys(self, leg: Leg, digits: str) -> None:
        leg.player.interject(Playlist((Keys(digits),), lambda how, error: None))
        self._watch_keys(leg)

    def _join(self, leg: Leg, command: wire.JoinLegs) -> None:
        other = self._legs.get(command.other)
        if other is None or other.closing or other is leg:
            return
        self._part(leg)
        self._part(other)
        leg.relay_keys = other.relay_keys = command.relay_keys
        self._joints.join(leg, other)
        self._attend(leg)
        self._attend(other)

    def _part(self, leg: Leg) -> None:
        other = self._joints.part(leg)
        if other is not None:
            self._attend(leg)
            self._attend(other)

    def _attend(self, leg: Leg) -> None:
        """Collect a leg's sound if anybody needs it."""
        self._reception.listen(leg.row, leg.hears and not leg.closing)
        self._keys.attend(leg)

    def _watch_keys(self, leg: Leg) -> None:
        if leg.player.keying:
            self._keying.add(leg)
        else:
            self._keying.discard(leg)

    # The end

    def _close(self, leg: Leg, now: float) -> None:
        leg.closing = True
        self._keys.finish(leg, self._to_wall)
        self._part(leg)
        leg.tone_keys = False
        leg.player.close()
        self._keying.discard(leg)
        self._packing.discard(leg)
        self._desk.stop(leg, "ended")
        self._desk.stop_tape(leg)
        self._say_goodbye(leg, now)
        self._rtcp_turns[leg.turn].discard(leg)
        self._playout.detach(leg.row)
        self._expected_since[leg.row] = np.inf
        self._sockets.drop(leg)
        self._ports.release(leg.sockets, now)
        self._finish_closing(leg)

    def _finish_closing(self, leg: Leg) -> None:
        """Once its files are closed the leg is over and its row free."""
        if not leg.closing or leg.open_tapes or leg.number not in self._legs:
            return
        stats = leg.stats(self._playout, self._reception, self._to_wall)
        del self._legs[leg.number]
        self._by_row[leg.row] = None
        self._free_rows.append(leg.row)
        self._control.say(wire.LegClosed(leg=leg.number, stats=stats))

    def _send_report(self, leg: Leg, now: float) -> None:
        if (target := leg.rtcp_target()) is not None:
            report = leg.report(self._playout, self._reception, now, now + self._to_wall)
            send_quietly(leg.sockets.rtcp, report, target)

    def _say_goodbye(self, leg: Leg, now: float) -> None:
        if (target := leg.rtcp_target()) is not None:
            report = leg.report(self._playout, self._reception, now, now + self._to_wall, bye=True)
            send_quietly(leg.sockets.rtcp, report, target)

    def _end(self) -> None:
        now = time.monotonic()
        for leg in list(self._legs.values()):
            if not leg.closing:
                self._close(leg, now)
        self._recorder.finish(_LAST_WRITES_S)

    def _report(self) -> wire.WorkerReport:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return wire.WorkerReport(
            legs=len(self._legs),
            ticks=self._ticks,
            late_ticks=self._late_ticks,
            worst_late_ms=round(self._worst_late_s * 1000, 3),
            cpu_s=round(usage.ru_utime + usage.ru_stime, 4),
            cached_sounds=len(self._cache),
            packets_sent=self._sent,
            packets_received=self._received,
        )


def configured(control: Control, sock: socket.socket) -> Worker:
    """Wait for the first command and make the worker; raise `NodeGone` when there is none."""
    sock.setblocking(True)
    commands: list[wire.Command] = []
    while not commands:
        commands = control.read()
    sock.setblocking(False)
    first = commands[0]
    if not isinstance(first, wire.Configure) or len(commands) > 1:
        raise NodeGone("the first message was not the configuration alone")
    return Worker(control, first)
