"""Errors of the SIP part: the peer broke a rule, or our caller asked for something SIP cannot carry."""

from __future__ import annotations

from callwright.values.errors import PeerError, RequestError


class SipParseError(PeerError):
    """A datagram, header or URI from the peer breaks the grammar.

    ``code`` is the SIP code that tells a requester so (RFC 3261 section 8.2 and 21.4.1); a response is just dropped.
    """

    def __init__(self, message: str, *, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


class UnsafeText(RequestError):
    """A value given to us cannot be written into a SIP message: a line break, a space in a URI, a header of ours."""


class WrongMoment(RequestError):
    """The dialog is not in a state where this can be done, e.g. answering a re-INVITE nobody sent."""


class UnknownCall(RequestError):
    """There is no call with this handle: it never existed or its timers are over."""
