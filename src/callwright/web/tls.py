"""TLS for the web services, from PEM files: versions 1.2 and 1.3 only (docs/reference/web-services.md, TLS).

A renewed certificate is picked up by itself, so that programs which renew certificates need not tell anybody.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from callwright.values.errors import OutsideError

LOOK_EVERY_S = 30.0

log = structlog.get_logger()


class BadCertificate(OutsideError):
    """The certificate or its key cannot be used; the text says which file, why and what to do."""


class Certificate:
    """The certificate of a listener and the ``context`` that serves it."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both files; raise ``BadCertificate``. Blocks."""
        self._files = (certificate, key)
        self._read_as_of = self._changed_at()
        self.context = _context(certificate, key)

    def renew(self) -> bool:
        """Read the files again if they changed; new connections then get the new certificate. Blocks.

        Files that cannot be used are logged and leave the former certificate in place.
        """
        changed_at = self._changed_at()
        if changed_at == self._read_as_of:
            return False
        self._read_as_of = changed_at
        try:
            _context(*self._files)  # tried apart: a key that does not fit must not spoil the running one
            _load(self.context, *self._files)
        except BadCertificate as error:
            log.error("The renewed certificate cannot be used", action="web.bad_certificate", reason=str(error))
            return False
        log.info("The certificate was renewed", action="web.certificate_renewed", file=str(self._files[0]))
        return True

    async def keep_fresh(self) -> None:
        """Look for a renewed certificate now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.renew)

    def _changed_at(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in self._files)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM")  # of TLS 1.2; those of 1.3 are all good
    context.set_alpn_protocols(["http/1.1"])
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        if not path.is_file():
            raise BadCertificate(f"the TLS file {path} does not exist: check http.certificate and http.key")
    try:
        # An empty passphrase instead of a question on the terminal, which a node must not ask.
        context.load_cert_chain(certificate, key, password="")
    except PermissionError as error:
        raise BadCertificate(f"a TLS file cannot be read ({error}): give this user the right to read it") from error
    except (OSError, ValueError) as error:
        raise BadCertificate(
            f"the TLS files {certificate} and {key} cannot be used together ({error}): both must be PEM, the key must "
            "be that of the certificate and have no passphrase"
        ) from error
