"""A SIP core that lives among broken messages: calls in every stage, each case one datagram that nearly fits into one.

Calls of both sides are begun all the time: INVITEs wait for answers, telephones ring, dialogs are up, offers are open,
BYEs and CANCELs under way. Each case takes such a stage, makes the message a peer could send there, breaks it (often)
and feeds it. The floor above is played by chance. ``settle`` ends everything and requires that nothing is remembered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.fuzz import Campaign, Mutator
from tests.support.sip_talk import PEER, make_core, plan, request_from_peer, response_to

from callwright.media import offer_answer
from callwright.sip.ask import AskPlan
from callwright.sip.auth import Credentials, make_challenge
from callwright.sip.core import SipCore
from callwright.sip.errors import SipParseError, UnknownCall, WrongMoment
from callwright.sip.event import Answered, Event, Invited, Reoffered
from callwright.sip.message import Message, Request
from callwright.sip.parser import parse_message
from callwright.sip.way import Transport, Way

TORTURE = [path.read_bytes() for path in sorted(Path("tests/data/rfc4475").glob("*.dat"))]
SDP = offer_answer.offer("192.0.2.9", 40_000)
_MOST_SCENES = 16
_SCENE_LIFE = 25
_KEPT = 6
_CODES = [100, 180, 180, 183, 183, 199, 200, 200, 200, 202, 300, 302, 305, 400, 401, 403, 404, 407, 408, 410,
          415, 420, 422, 423, 429, 480, 481, 482, 486, 487, 488, 491, 500, 503, 504, 513, 580, 600, 603]  # fmt: skip
_METHODS = ["BYE", "INFO", "UPDATE", "INVITE", "PRACK", "REFER", "OPTIONS", "ACK", "CANCEL", "MESSAGE", "NOTIFY", "x"]
_CHALLENGE = make_challenge(realm="r", nonce="n", algorithm="SHA-256")
_HEADERS: list[tuple[str, str]] = [
    ("Require", "100rel"), ("RSeq", "1"), ("RSeq", "7"), ("Require", "timer"), ("Session-Expires", "90;refresher=uac"),
    ("Session-Expires", "1800;refresher=uas"), ("x", "90;refresher=uas"), ("Min-SE", "4000"), ("Min-SE", "99999999999"),
    ("Record-Route", "<sip:192.0.2.50;lr>"), ("Record-Route", "<sip:192.0.2.50>, <sip:p2.example.com:5070;lr>"),
    ("Contact", "<sip:x@192.0.2.10;transport=tls>"), ("Contact", "*"), ("m", "<sip:a@[::1]>;q=0.2, <sip:b@192.0.2.3>"),
    ("Retry-After", "18000;duration=3600"), ("Reason", 'Q.850;cause=16;text="x"'), ("RAck", "1 1 INVITE"),
    ("WWW-Authenticate", _CHALLENGE), ("Proxy-Authenticate", _CHALLENGE.replace("SHA-256", "MD5") + ", stale=true"),
    ("Proxy-Authenticate", 'Digest realm="x", nonce="", qop="auth-int"'), ("Authorization", "Digest username=a"),
    ("Supported", "100rel, timer, replaces"), ("Allow", "UPDATE"), ("Content-Type", "application/sdp"),
    ("Content-Type", "multipart/mixed;boundary=x"), ("Content-Encoding", "gzip"), ("Expires", "0"), ("Expires", "x"),
    ("Content-Disposition", "session;handling=required"), ("P-Asserted-Identity", "<tel:+441>"), ("Path", "<sip:p;lr>"),
    ("Max-Forwards", "0"), ("Via", "SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKy"), ("l", "3"), ("Unsupported", "100rel"),
]  # fmt: skip


@dataclass(slots=True)
class Scene:
    """One call: what we sent last (as read back), what was fed last, and how much longer it may go on."""

    handle: str = ""
    sent: deque[Request] = field(default_factory=lambda: deque(maxlen=_KEPT))
    fed: deque[bytes] = field(default_factory=lambda: deque(maxlen=_KEPT))
    invite: Request | None = None  # ours
    theirs: Request | None = None  # the peer's
    cseq: int = 1
    left: int = _SCENE_LIFE


class SipWorld:
    """One core and its broken world. ``run`` goes on for a number of cases."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.core: SipCore = make_core()
        self.core.listens(Transport.TCP, 5060)
        self.now = 0.0
        self.invited = self.answered = 0
        self._number = 0
        self._chance = Random(seed)
        self._scenes: list[Scene] = []
        self._by_call_id: dict[str, Scene] = {}

    def run(self, cases: int, campaign: Campaign, *, settle_every: int = 5000) -> None:
        """Feed so many broken messages; between, let everything end and weigh what is left."""
        for _ in range(cases):
            self._number += 1
            self._chance = Random(self.seed * 1_000_000_007 + self._number)
            data, way = self._next()
            campaign.time(f"sip {self.seed}/{self._number}", lambda data=data, way=way: self._feed(data, way))  # type: ignore[misc]
            self._go_on()
            if self._number % settle_every == 0:
                self.settle()
                campaign.weigh()

    def settle(self) -> None:
        """Hang up everything and let all timers run: nothing may be remembered."""
        for handle in list(self.core._endpoint.calls):
            self.core.bye(handle, self.now)
        for _ in range(1_000_000):
            at = self.core.wake_at()
            if at is None:
                break
            self.now = max(self.now, at)
            self.core.wake(self.now)
            self.core.take_sends()
            self.core.take_events()
        endpoint = self.core._endpoint
        left = {
            name: len(table)
            for name, table in (
                ("calls", endpoint.calls),
                ("clients", endpoint.clients),
                ("servers", endpoint.servers),
                ("tags", endpoint.by_tag),
                ("strays", endpoint.strays),
                ("invited", endpoint.invited),
            )
            if table
        }
        assert left == {}, f"remembered for ever: {left}, sip {self.seed}/{self._number}"
        assert self.core.wake_at() is None
        self._scenes.clear()
        self._by_call_id.clear()

    # --- what comes

    def _next(self) -> tuple[bytes, Way]:
        chance = self._chance
        way = Way(transport=Transport.TCP, flow=chance.randint(1, 5)) if chance.random() < 0.15 else Way()
        if len(self._scenes) < _MOST_SCENES and chance.random() < 0.2:
            self._begin_ours(way)
        if len(self._scenes) < _MOST_SCENES and chance.random() < 0.1:
            return self._begin_theirs(), way
        if chance.random() < 0.03 or not self._scenes:
            return self._broken(chance.choice(TORTURE)), way
        scene = chance.choice(self._scenes)
        scene.left -= 1
        if scene.left <= 0:
            self._scenes.remove(scene)
            self.core.bye(scene.handle, self.now)
        if scene.fed and chance.random() < 0.1:
            data = chance.choice(scene.fed)
        else:
            data = self._message_for(scene).render()
        if chance.random() < 0.5:
            data = self._broken(data)
        scene.fed.append(data)
        return data, way

    def _begin_ours(self, way: Way) -> None:
        chance = self._chance
        if chance.random() < 0.15:
            self.core.ask(
                AskPlan(
                    method=chance.choice(["REGISTER", "OPTIONS"]), request_uri="sip:example.com", next_hop=PEER,
                    from_uri="sip:me@example.com", to_uri="sip:me@example.com", contact_user="me",
                    credentials=Credentials(user="a", password="b"), way=Way(transport=way.transport),
                ),
                self.now,
            )  # fmt: skip
        elif chance.random() < 0.1:
            self.core.ping(PEER, self.now)
        else:
            credentials = Credentials(user="a", password="b") if chance.random() < 0.5 else None
            self.core.invite(plan(credentials=credentials, body=SDP), self.now)
        self._take_sends(Scene())

    def _begin_theirs(self) -> bytes:
        chance = self._chance
        branch, call_id = f"z9hG4bKt{self._number}", f"t{self._number}"
        scene = Scene(theirs=request_from_peer("INVITE", branch=branch, call_id=call_id))
        self._scenes.append(scene)
        self._by_call_id[call_id] = scene
        headers, body = self._some_headers(), chance.choice([SDP, b""])
        data = request_from_peer("INVITE", branch=branch, call_id=call_id, body=body, headers=headers).render()
        scene.fed.append(data)
        return self._broken(data) if chance.random() < 0.2 else data

    def _message_for(self, scene: Scene) -> Message:
        chance = self._chance
        headers = self._some_headers()
        body = chance.choice([b"", SDP, b"Signal=5\r\nDuration=160\r\n", b"v=0"])
        if scene.sent and chance.random() < 0.6:
            asked = chance.choice(scene.sent)
            code = chance.choice(_CODES) if chance.random() < 0.5 else chance.choice([180, 183, 200, 200])
            tag = chance.choice(["bob", "bob", "bob", "eve", ""])
            return response_to(asked, code, tag=tag, headers=headers, body=body)
        method = chance.choice(_METHODS)
        scene.cseq += chance.choice([1, 1, 1, 0, -1, 1000])
        branch = f"z9hG4bKp{self._number}"
        if scene.theirs is not None:
            tag = f";tag={scene.handle[-16:]}" if chance.random() < 0.5 else self._our_tag(scene)
            if method in ("CANCEL", "ACK") and chance.random() < 0.7:
                branch = scene.theirs.head.via.branch
            return request_from_peer(
                method, branch=branch, call_id=scene.theirs.head.call_id, cseq=max(scene.cseq, 0), body=body,
                headers=headers, to=f"<sip:me@example.com>{tag}" if chance.random() < 0.8 else "<sip:me@example.com>",
            )  # fmt: skip
        invite = scene.invite
        assert invite is not None
        return request_from_peer(
            method, branch=branch, call_id=invite.head.call_id, cseq=max(scene.cseq, 0), body=body, headers=headers,
            from_=f"{invite.headers.get('to')};tag={chance.choice(['bob', 'bob', 'eve'])}",
            to=invite.headers.get("from") or "",
        )  # fmt: skip

    def _our_tag(self, scene: Scene) -> str:
        """The To tag of the dialog the core made for the peer's call, from its own tables."""
        call_id = scene.theirs.head.call_id if scene.theirs is not None else ""
        return next((f";tag={tag}" for known, tag in self.core._endpoint.by_tag if known == call_id), "")

    def _some_headers(self) -> list[tuple[str, str]]:
        return self._chance.sample(_HEADERS, self._chance.choice([0, 0, 0, 1, 2, 4]))

    def _broken(self, data: bytes) -> bytes:
        return Mutator(self._chance, TORTURE).mutate(data)

    # --- what we do

    def _feed(self, data: bytes, way: Way) -> None:
        self.core.receive(data, PEER, self.now, way)

    def _go_on(self) -> None:
        """Play the floor above and the clock."""
        chance = self._chance
        for event in self.core.take_events():
            self._hear(event)
        if self._scenes and chance.random() < 0.05:
            self._do_something(chance.choice(self._scenes).handle)
        if chance.random() < 0.02:
            self.core.lost(chance.randint(1, 5), self.now)
        self._take_sends(None)
        self.now += chance.choice([0.0, 0.0, 0.0, 0.01, 0.2, 0.6, 2.0])
        while (at := self.core.wake_at()) is not None and at <= self.now:
            self.core.wake(self.now)
            for event in self.core.take_events():
                self._hear(event)
            self._take_sends(None)

    def _hear(self, event: Event) -> None:
        chance = self._chance
        for text in (getattr(event, "reason", ""), getattr(event, "tag", ""), getattr(event, "request_uri", "")):
            assert "\r" not in text, event
            assert "\n" not in text, event
        match event:
            case Invited():
                self.invited += 1
                scene = self._by_call_id.get(event.call_id)
                if scene is not None:
                    scene.handle = event.handle
                for code in chance.sample([100, 180, 183, 200, 200, 200, 404, 486], chance.randint(0, 3)):
                    self.core.respond(
                        event.handle, code, body=SDP if code in (183, 200) else b"", now=self.now,
                        reliable=chance.random() < 0.5 and 101 <= code < 200,
                        to_tag=chance.choice(["", "", "fork"]),
                    )  # fmt: skip
            case Answered():
                self.answered += 1
                if chance.random() < 0.5:
                    self.core.export(event.handle)
            case Reoffered() if chance.random() < 0.8:
                try:
                    if chance.random() < 0.7:
                        self.core.answer_reinvite(event.handle, SDP, self.now)
                    else:
                        self.core.refuse_reinvite(event.handle, 488, "Not Acceptable Here", self.now)
                except (WrongMoment, UnknownCall):
                    return  # it was withdrawn in the same breath
            case _:
                return

    def _do_something(self, handle: str) -> None:
        chance = self._chance
        match chance.randrange(4):
            case 0:
                self.core.bye(handle, self.now)
            case 1:
                self.core.cancel(handle, self.now)
            case 2:
                try:
                    self.core.reoffer(handle, SDP, self.now, chance.choice(["INVITE", "UPDATE"]))
                except (WrongMoment, UnknownCall):
                    return  # no dialog yet, or an offer is open
            case _:
                if chance.random() < 0.5 and handle in self.core._endpoint.calls:
                    self.core.acknowledge(handle)

    def _take_sends(self, fresh: Scene | None) -> None:
        """Read what we send as a peer would; no head may hold a line that somebody else wrote."""
        for send in self.core.take_sends():
            head = send.data.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
            assert b"\r" not in head, send.data
            assert b"\n" not in head, send.data
            if send.data.startswith(b"SIP/2.0"):
                continue
            try:
                request = parse_message(send.data)
            except SipParseError:
                continue  # the peer's own broken To or Contact, told back to it
            assert isinstance(request, Request)
            scene = self._by_call_id.get(request.head.call_id)
            if scene is None and fresh is not None:
                scene = fresh
                self._scenes.append(scene)
                self._by_call_id[request.head.call_id] = scene
            if scene is not None and request.method != "ACK":
                scene.sent.append(request)
                if request.method in ("INVITE", "REGISTER", "OPTIONS") and scene.invite is None:
                    scene.invite = request
                    calls = self.core._endpoint.by_tag
                    call = calls.get((request.head.call_id, request.head.from_.tag))
                    scene.handle = str(getattr(call, "handle", ""))
