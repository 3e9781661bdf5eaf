"""One request outside of any call (OPTIONS, REGISTER …) from its first datagram to its final answer.

Challenges are answered with the plan's credentials, each time with the next CSeq (RFC 3261 section 22.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callwright.sip.auth import Answerer, Credentials
from callwright.sip.endpoint import Endpoint
from callwright.sip.event import UNSENT, AskDone
from callwright.sip.headers import Headers, clean, clean_pairs, safe, safe_pairs
from callwright.sip.message import Request, Response
from callwright.sip.way import BY_UDP, Target, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPlan:
    """What to ask of whom. ``next_hop`` is host (name or address) and port; ``contact_user`` is put into our Contact.

    ``call_id`` and ``cseq`` continue a series of requests (a registration and its refreshes); "" starts a new one.
    """

    method: str
    request_uri: str
    next_hop: tuple[str, int]
    from_uri: str
    to_uri: str
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials | None = None
    contact_user: str = ""
    call_id: str = ""
    cseq: int = 1
    way: Way = BY_UDP


class Asker:
    """Asks, answers challenges, tells AskDone once. The transaction keeps it alive as long as it is needed."""

    __slots__ = (
        "_answerer", "_call_id", "_cseq", "_endpoint", "_extra", "_from", "_handle", "_plan", "_target", "_tell",
        "_tried",
    )  # fmt: skip

    def __init__(
        self, *, endpoint: Endpoint, handle: str, plan: AskPlan, tell: Callable[[AskDone], None], now: float
    ) -> None:
        for name in ("method", "request_uri", "from_uri", "to_uri", "contact_user", "call_id"):
            safe(getattr(plan, name), name)
        self._endpoint = endpoint
        self._handle = handle
        self._plan = plan
        self._tell = tell
        self._target = Target(host=plan.next_hop[0], port=plan.next_hop[1], way=plan.way)
        self._extra = safe_pairs(plan.headers)
        self._call_id = plan.call_id or endpoint.new_id()
        self._cseq = plan.cseq - 1
        self._from = f"<{plan.from_uri}>;tag={endpoint.new_id()[-16:]}"
        self._answerer = Answerer(plan.credentials, endpoint.new_id)
        self._tried: dict[str, int] = {}
        self._ask(now)

    def _ask(self, now: float) -> None:
        endpoint, plan = self._endpoint, self._plan
        self._cseq += 1
        branch = endpoint.new_branch()
        pairs = [
            ("Via", endpoint.via(branch, plan.way)),
            ("Max-Forwards", "70"),
            ("From", self._from),
            ("To", f"<{plan.to_uri}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} {plan.method}"),
            ("Contact", _contact(endpoint, plan)),
            ("User-Agent", endpoint.user_agent),
            *self._extra,
            *self._answerer.pairs(plan.method, plan.request_uri),
        ]
        request = Request(method=plan.method, uri=plan.request_uri, headers=Headers(pairs))
        endpoint.ask(request, self._target, now, branch=branch, on_response=self._answered, on_failure=self._unanswered)

    def _answered(self, response: Response, source: tuple[str, int], now: float) -> None:
        if response.code < 200:
            return
        if response.code in (401, 407) and self._answerer.learn(response.headers, self._tried):
            self._ask(now)
            return
        self._done(response.code, clean(response.reason), now, headers=clean_pairs(response.headers))

    def _unanswered(self, code: int, now: float) -> None:
        self._done(code, "no answer" if code == 408 else UNSENT, now, local=True)

    def _done(
        self, code: int, reason: str, now: float, *, headers: tuple[tuple[str, str], ...] = (), local: bool = False
    ) -> None:
        self._tell(
            AskDone(
                handle=self._handle,
                at=now,
                code=code,
                reason=reason,
                headers=headers,
                call_id=self._call_id,
                cseq=self._cseq,
                challenged=bool(self._tried),
                local=local,
            )
        )


def _contact(endpoint: Endpoint, plan: AskPlan) -> str:
    contact = endpoint.contact(plan.way)
    return contact.replace("<sip:", f"<sip:{plan.contact_user}@", 1) if plan.contact_user else contact
