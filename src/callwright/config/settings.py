"""Every setting, declared once: its default, what it is, what it takes (docs/reference/settings.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from callwright.config.kinds import (
    Kind,
    boolean,
    choice,
    file_or_none,
    folder,
    integer,
    money,
    networks,
    number,
    prefixes,
    text,
)

DEFAULT_DATA_FOLDER = Path("~/.local/share/callwright")

_HOST = text(r"[^\s\x00-\x1f/@]{1,255}", "an IP address or a host name")
_OPTIONAL_HOST = text(r"[^\s\x00-\x1f/@]{0,255}", "an IP address, a host name, or empty")
_PORT = integer(0, 65535)
_URL_OR_EMPTY = text(r"(https?://[^\s\x00-\x1f]{1,500})?", "a URL beginning with http:// or https://, or empty")


def _about(about: str, kind: Kind) -> dict[str, object]:
    return {"about": about, "kind": kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The web services."""

    host: str = field(default="127.0.0.1", metadata=_about("address the web services listen on", _HOST))
    port: int = field(default=8080, metadata=_about("port the web services listen on; 0 takes a free one", _PORT))
    behind_proxy: bool = field(
        default=False,
        metadata=_about("a proxy that ends TLS stands in front: plain HTTP beyond loopback is intended", boolean()),
    )
    insecure_http: bool = field(
        default=False,
        metadata=_about(
            "allow plain HTTP beyond loopback without a proxy: passwords cross the network in clear", boolean()
        ),
    )
    certificate: Path | None = field(
        default=None,
        metadata=_about(
            "PEM file of the certificate and its chain: the web services speak TLS 1.2 and 1.3 only", file_or_none()
        ),
    )
    key: Path | None = field(
        default=None, metadata=_about("PEM file of the certificate's private key, without a passphrase", file_or_none())
    )

    public_url: str = field(
        default="",
        metadata=_about("URL clients reach the node by, for links in errors; empty: address and port", _URL_OR_EMPTY),
    )

    @property
    def scheme(self) -> str:
        """``https`` when there is a certificate, else ``http``."""
        return "http" if self.certificate is None else "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What clients of the web services may ask for, and how fast."""

    requests_per_account: float = field(
        default=0.0,
        metadata=_about("requests a second of one account; 0: as many as it likes", number(0, 100_000)),
    )
    requests_per_address: float = field(
        default=0.0,
        metadata=_about("requests a second from one address (IPv6: one /64); 0: as many as come", number(0, 100_000)),
    )
    body_bytes: int = field(
        default=64 * 1024 * 1024,
        metadata=_about("bytes the body of one request may have", integer(1024, 64 * 1024 * 1024)),
    )
    head_bytes: int = field(
        default=64 * 1024,
        metadata=_about("bytes the request line and the headers may have together", integer(8 * 1024, 1024 * 1024)),
    )
    slow_request_s: float = field(
        default=30.0,
        metadata=_about(
            "seconds until the headers must be there, and the body if it is small; longer bodies get a second more "
            "for every 16 KiB",
            number(1, 3600),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """SIP signalling."""

    host: str = field(default="127.0.0.1", metadata=_about("address SIP listens on (UDP and TCP)", _HOST))
    port: int = field(default=5060, metadata=_about("port SIP listens on; 0 takes a free one", _PORT))
    advertised_address: str = field(
        default="",
        metadata=_about("address told to far ends in SIP and SDP; empty: the address listened on", _OPTIONAL_HOST),
    )
    domain: str = field(
        default="",
        metadata=_about(
            "domain of originating addresses in records; empty: sip-<cloud id>.callwright.internal", _OPTIONAL_HOST
        ),
    )
    hide: bool = field(
        default=False,
        metadata=_about(
            "give no answer to requests that belong to no call, but for those of trunks and the simulated network",
            boolean(),
        ),
    )
    allow: tuple[str, ...] = field(
        default=(), metadata=_about("networks SIP addresses may be called in although they are not public", networks())
    )
    certificate: Path | None = field(
        default=None,
        metadata=_about(
            "PEM file of the certificate and its chain for SIP over TLS: listened for on sip.tls_port, and shown to "
            "servers that ask for one",
            file_or_none(),
        ),
    )
    key: Path | None = field(
        default=None,
        metadata=_about("PEM file of that certificate's private key, without a passphrase", file_or_none()),
    )
    tls_port: int = field(
        default=5061, metadata=_about("port SIP over TLS listens on with a certificate; 0 takes a free one", _PORT)
    )
    authorities: Path | None = field(
        default=None,
        metadata=_about(
            "PEM file of the authorities that SIP servers and clients are verified by; empty: the system's",
            file_or_none(),
        ),
    )
    verify_clients: bool = field(
        default=False,
        metadata=_about("take SIP over TLS only from clients with a certificate of those authorities", boolean()),
    )
    trace: str = field(
        default="calls",
        metadata=_about("whose SIP messages are kept, masked, for `callwright ladder`", choice("calls", "off")),
    )
    trace_days: float = field(default=7.0, metadata=_about("days kept SIP messages stay", number(0.01, 3660)))
    trace_megabytes: int = field(
        default=256,
        metadata=_about(
            "megabytes kept SIP messages may take up, compressed; the oldest go first", integer(1, 1_000_000)
        ),
    )
    trace_hide_numbers: bool = field(
        default=False,
        metadata=_about("keep SIP messages with only the last three digits of telephone numbers", boolean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpSettings:
    """The ports sound travels through; each leg takes an even port and the odd one above it."""

    first_port: int = field(default=20000, metadata=_about("lowest RTP port", integer(1024, 65534)))
    last_port: int = field(default=29999, metadata=_about("highest RTP port", integer(1025, 65535)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """The media worker processes."""

    workers: int = field(
        default=0,
        metadata=_about("media worker processes; 0: one less than the processors, at least 1", integer(0, 256)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Which addresses the pages of REST applications may have."""

    allow_private: bool = field(
        default=False, metadata=_about("ask pages on loopback, private and link-local addresses too", boolean())
    )
    allow: tuple[str, ...] = field(
        default=(), metadata=_about("networks pages may be in although they are not public", networks())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """Waiting starts and running calls."""

    queue_limit_s: float = field(
        default=86400.0,
        metadata=_about(
            "seconds a start may wait in its queue before it is couldnotrun Queue time limit exceeded",
            number(1, 31 * 86400),
        ),
    )
    ring_timeout_s: float = field(
        default=60.0,
        metadata=_about("seconds a call may ring, for services added without a time-out of their own", number(1, 600)),
    )
    max_duration_s: float = field(
        default=14400.0,
        metadata=_about("seconds from the answer after which a call is hung up", number(1, 14400)),
    )

    drain_limit_s: float = field(
        default=60.0,
        metadata=_about("seconds running calls get to finish when the node is asked to stop", number(0, 86400)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """Application and call records."""

    keep_days: float = field(
        default=90.0, metadata=_about("days records are kept after their instance has ended", number(1, 3660))
    )
    keep_references_days: float = field(
        default=7.0,
        metadata=_about("days a reference and its unique_id stay known after the start is over", number(1, 3660)),
    )

    include_neural_in_total: bool = field(
        default=True,
        metadata=_about(
            "count neural text-to-speech in total_cost; false as one documented example shows it", boolean()
        ),
    )
    cdr_rated: bool = field(
        default=True,
        metadata=_about("give each call record its cost; false leaves call_cost 0.0 with costs_valid false", boolean()),
    )
    keep_logs_days: float = field(
        default=90.0,
        metadata=_about("days the logs of instances are kept; 0: for ever", number(0, 3660)),
    )
    keep_recordings_days: float = field(
        default=0.0,
        metadata=_about("days recordings made by applications are kept; 0: for ever", number(0, 3660)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """Prices in dollars per minute; all free by default."""

    platform: Decimal = field(
        default=Decimal(0), metadata=_about("running an application, per started minute", money())
    )
    pstn: Decimal = field(
        default=Decimal(0), metadata=_about("a connected telephone call, per started minute", money())
    )
    tollfree: Decimal = field(
        default=Decimal(0), metadata=_about("a connected call to a toll-free number, per started minute", money())
    )
    tts: Decimal = field(default=Decimal(0), metadata=_about("speech of a standard voice, per minute", money()))
    tts_neural: Decimal = field(default=Decimal(0), metadata=_about("speech of a neural voice, per minute", money()))
    tollfree_prefixes: tuple[str, ...] = field(
        default=(), metadata=_about("beginnings of toll-free numbers, country code first", prefixes())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSettings:
    """Error answers and error records."""

    link_base: str = field(
        default="",
        metadata=_about(
            "what comes before the number in error links; empty: the node's own /errors/ pages", _URL_OR_EMPTY
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log, written to standard error."""

    level: str = field(
        default="info", metadata=_about("least important lines shown", choice("debug", "info", "warning", "error"))
    )
    format: str = field(
        default="auto",
        metadata=_about(
            "console for people, json for machines, auto: console on a terminal", choice("auto", "console", "json")
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can choose. ``data`` holds the database, sounds, recordings, logs and the admin socket.

    ``file`` is the settings file that was read, ``trunks`` are the tables ``[[trunks]]`` in it as they stand there:
    ``engine.trunk_fields`` reads them.
    """

    data: Path = field(
        default=DEFAULT_DATA_FOLDER,
        metadata=_about("folder of the database, recordings, logs and callwright.toml", folder()),
    )
    cloud_id: str = field(
        default="0-0-0",
        metadata=_about(
            "cloud id clients put first in their user name",
            text(r"\d{1,9}-\d{1,9}-\d{1,9}", "three numbers joined by '-', such as 0-0-0"),
        ),
    )
    http: HttpSettings = field(default_factory=HttpSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    sip: SipSettings = field(default_factory=SipSettings)
    rtp: RtpSettings = field(default_factory=RtpSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    pages: PageSettings = field(default_factory=PageSettings)
    calls: CallSettings = field(default_factory=CallSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    rates: RateSettings = field(default_factory=RateSettings)
    errors: ErrorSettings = field(default_factory=ErrorSettings)
    log: LogSettings = field(default_factory=LogSettings)
    file: Path | None = None
    trunks: tuple[Mapping[str, object], ...] = ()

    @property
    def sip_domain(self) -> str:
        """The domain of ``originating_address`` in call records."""
        return self.sip.domain or f"sip-{self.cloud_id}.callwright.internal"

    @property
    def media_workers(self) -> int:
        """How many media workers to start: as set, or one less than the processors, at least 1."""
        return self.media.workers or max(1, (os.cpu_count() or 1) - 1)

    @property
    def admin_socket(self) -> Path:
        """The Unix socket of the command line."""
        return self.data / "admin.sock"

    def error_link_base(self, http_base: str) -> str:
        """Return what comes before the number in error links; ``http_base`` is the node's own URL."""
        return self.errors.link_base or f"{(self.http.public_url or http_base).rstrip('/')}/errors/"
