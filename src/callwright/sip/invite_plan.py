"""What an INVITE of ours is made of, checked and named before anything is sent."""

from __future__ import annotations

import msgspec

from callwright.sip.auth import Credentials
from callwright.sip.endpoint import SDP, Endpoint
from callwright.sip.errors import SipParseError, UnsafeText
from callwright.sip.headers import quote, safe_texts
from callwright.sip.saved_invite import SavedInvite
from callwright.sip.session_timer import DEFAULT_S
from callwright.sip.uri import parse_uri
from callwright.sip.way import BY_UDP, Target, Way


class InvitePlan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to call and how. ``next_hop`` is host (name or address) and port; ``headers`` are added to the INVITE.

    ``way`` is the transport to the next hop, ``alternatives`` the places to try in its stead when the INVITE cannot be
    sent there (no connection, nobody listening) or is answered 503 before anything rang. A silent next hop has none,
    for its telephone may ring.
    ``session_expires_s`` is how long the call may live unrefreshed (RFC 4028), 0 to propose no session timer.
    ``call_id`` None lets the core choose one, as ``tag`` and ``branch`` "" do for From and Via; ``SipCore.named``
    chooses all three beforehand. ``hold_ack`` leaves the ACK of the answer to ``SipCore.acknowledge``: until then the
    far end repeats its answer, so whoever writes calls down first loses none by dying in between.
    Texts with line breaks or controls are refused (UnsafeText).
    """

    request_uri: str
    next_hop: tuple[str, int]
    from_uri: str
    to_uri: str
    body: bytes
    from_display: str = ""
    content_type: str = SDP
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials | None = None
    call_id: str | None = None
    tag: str = ""
    branch: str = ""
    hold_ack: bool = False
    way: Way = BY_UDP
    alternatives: tuple[Target, ...] = ()
    session_expires_s: int = DEFAULT_S


def from_value(plan: InvitePlan, tag: str) -> str:
    """Return the From of a call with this tag."""
    display = f"{quote(plan.from_display)} " if plan.from_display else ""
    return f"{display}<{plan.from_uri}>;tag={tag}"


def named_plan(plan: InvitePlan, endpoint: Endpoint, body: bytes | None = None) -> InvitePlan:
    """Return the plan with Call-ID, From tag and branch chosen, and another body if one is given."""
    call_id = plan.call_id or endpoint.new_id()
    tag, branch = plan.tag or endpoint.new_id()[-16:], plan.branch or endpoint.new_branch()
    return msgspec.structs.replace(
        plan, call_id=call_id, tag=tag, branch=branch, body=plan.body if body is None else body
    )


def save_invite(plan: InvitePlan, endpoint: Endpoint) -> SavedInvite:
    """Return what another process needs to CANCEL the INVITEs of a named plan at its first place."""
    return SavedInvite(
        call_id=plan.call_id or "",
        branch=plan.branch,
        via=endpoint.via(plan.branch, plan.way),
        request_uri=plan.request_uri,
        from_=from_value(plan, plan.tag),
        to=f"<{plan.to_uri}>",
        host=plan.next_hop[0],
        port=plan.next_hop[1],
        transport=plan.way.transport,
        name=plan.way.name,
    )


def check_plan(plan: InvitePlan) -> None:
    """Raise UnsafeText when a text of the plan cannot be written into an INVITE."""
    for name in ("request_uri", "from_uri", "to_uri"):
        value: str = getattr(plan, name)
        try:
            parse_uri(value)
        except SipParseError as problem:
            raise UnsafeText(f"{name} {value[:80]!r} is not a URI: {problem}", field=name) from problem
    call_id = plan.call_id or ""
    safe_texts(
        request_uri=plan.request_uri,
        from_uri=plan.from_uri,
        to_uri=plan.to_uri,
        from_display=plan.from_display,
        content_type=plan.content_type,
        call_id=call_id,
    )
    if plan.call_id is not None and (not call_id or " " in call_id or "\t" in call_id):
        raise UnsafeText("call_id may not be empty or hold spaces", field="call_id")
