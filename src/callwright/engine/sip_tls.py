"""TLS for SIP: which certificates we show and which ones we believe (RFC 3261 section 26.3, RFC 5922)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """``certificate`` and ``key`` are PEM files, shown to clients and to servers that ask; without them we are a client
    only. ``authorities`` is a PEM file of those we believe, None for the system's. ``verify`` False believes every
    server, which protects against nobody who can reach the wire.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    verify: bool = True
    ask_clients: bool = False
    port: int = 5061

    def server(self) -> ssl.SSLContext | None:
        """Return the context to listen with, None without a certificate. Raises OSError or ssl.SSLError."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.ask_clients:
            context.verify_mode = ssl.CERT_REQUIRED
            if self.authorities is None:
                context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
            else:
                context.load_verify_locations(self.authorities)
        return context

    def client(self) -> ssl.SSLContext:
        """Return the context to connect with. Raises OSError or ssl.SSLError."""
        context = ssl.create_default_context(cafile=None if self.authorities is None else str(self.authorities))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
