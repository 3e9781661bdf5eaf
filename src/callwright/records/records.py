"""The records of one application instance, as values: ADR, CDRs, FDRs and error records.

Facts are kept as they were measured: times are epoch seconds (the clock's own double), amounts exact. ``records.wire``
cuts and names them for clients, ``records.rating`` says what they cost (docs/reference/records.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callwright.records.number_rate import NumberRate
from callwright.records.settings import RateCard
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, CallId, InstanceId
from callwright.values.money import ZERO, Money


class ApplicationType(StrEnum):
    REST = "rest"
    UAS = "uas"


class CallDirection(StrEnum):
    IN = "in"
    OUT = "out"
    CLIENT = "client"


class ChannelType(StrEnum):
    """``p`` the instance's main call, ``x`` a further leg, ``ca``/``cv`` a WebRTC client call (audio, video)."""

    PRIMARY = "p"
    EXTRA = "x"
    CLIENT_AUDIO = "ca"
    CLIENT_VIDEO = "cv"


class AudioPath(StrEnum):
    """Which sound of a call a feature worked on."""

    IN = "in"
    OUT = "out"
    MIXED = "mixed"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What an instance came to: parts truncated to 4 decimals, the total to 3."""

    platform: Money = ZERO
    extra: Money = ZERO
    pstn: Money = ZERO
    tollfree: Money = ZERO
    tts_unit: Money = ZERO
    tts: Money = ZERO
    tts_neural_unit: Money = ZERO
    tts_neural: Money = ZERO
    feature: Money = ZERO
    total: Money = ZERO
    valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Adr:
    """Application data record: one per instance. ``stopped_at``, ``exit_status`` and ``costs`` are None while open.

    ``application_name`` is the service's name, ``uas_application_name`` the program a UAS ran. The
    parameters and the token are whole; they are shortened for clients only. ``rates`` are the prices fixed when it
    began, None for those of the node's settings.
    """

    instance_id: InstanceId
    account_id: AccountId
    reference: str | None
    application_name: str
    application: ApplicationType
    application_parameters: str
    outbound_parameters: str
    rest_to: str
    rest_from: str
    rest_initial_token: str
    uas_application_name: str
    uas_ip_address: str
    uas_name: str
    extra_channel_count: int
    fax: bool
    started_at: float
    tts_ms: int
    tts_neural_ms: int
    final_asked_at: float | None
    stopped_at: float | None
    exit_status: int | None
    costs: Costs | None
    rates: RateCard | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdr:
    """Call data record: one per call. ``connected_at`` is None when it was never answered; the fields of its end
    (``ended_at`` and what follows) are None while it is open.

    ``originating_user`` is the caller id or SIP user shown; one with "@" is a whole address. ``rate`` is the price
    fixed at the INVITE, None for that of the instance's rates. ``trunk`` names the trunk that carried it, "" for none.
    ``detail`` and ``q850`` are those of its outcome; where it was redirected to stands before that.
    """

    call_id: CallId
    instance_id: InstanceId
    direction: CallDirection
    channel_type: ChannelType
    destination_address: str
    originating_user: str
    initiated_at: float
    connected_at: float | None
    ended_at: float | None
    hangup_cause: str | None
    joined_s: float | None
    call_cost: Money | None
    costs_valid: bool | None
    rate: NumberRate | None = None
    trunk: str = ""
    detail: str = ""
    q850: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fdr:
    """Feature data record: one per use of something charged apart, such as speech recognition."""

    feature_id: str
    instance_id: InstanceId
    call_id: CallId
    type: str
    audio_path: AudioPath
    transaction_id: str
    started_at: float
    stopped_at: float
    seconds_for_cost: float
    unit_cost: Money
    cost: Money
    costs_valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """Something that went wrong in an instance: a four-digit code and a text for the customer."""

    code: str
    text: str

    def __post_init__(self) -> None:
        if len(self.code) != 4 or not self.code.isdecimal():
            raise RequestError(f"the error code '{self.code}' is not four digits", field="code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All records of one closed instance, with the cloud id its addresses are shown under."""

    cloud_id: str
    adr: Adr
    cdrs: tuple[Cdr, ...] = ()
    fdrs: tuple[Fdr, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()
