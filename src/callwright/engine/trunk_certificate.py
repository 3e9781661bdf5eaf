"""What a trunk reached by TLS shows of itself: whether its certificate is believed, and how long it is good for."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from callwright.engine.sip_tls import TlsSettings
from callwright.sip.way import Target
from callwright.values.errors import OutsideError, PeerError

CONNECT_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A certificate that was believed. ``until`` is epoch seconds, None when nothing is checked (``verify`` False)."""

    until: float | None


class NotBelieved(PeerError):
    """The certificate was not believed; the text says why."""


class NoTls(OutsideError):
    """No TLS connection came about; the text says why."""


async def look_at_certificate(target: Target, name: str, tls: TlsSettings) -> Shown:
    """Connect and look; ``name`` is whom the certificate must name. Raise ``NotBelieved`` or ``NoTls``."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(
                target.host, target.port, ssl=tls.client(), server_hostname=name or target.host
            )
    except ssl.SSLCertVerificationError as problem:
        raise NotBelieved(problem.verify_message.rstrip(".")) from problem
    except TimeoutError as problem:
        raise NoTls(f"no connection within {CONNECT_S:g} s") from problem
    except OSError as problem:  # every error of TLS is one
        raise NoTls(str(problem.strerror or problem)) from problem
    certificate = writer.get_extra_info("ssl_object").getpeercert()
    writer.transport.abort()
    if not certificate:
        return Shown(until=None)
    return Shown(until=float(ssl.cert_time_to_seconds(certificate["notAfter"])))
