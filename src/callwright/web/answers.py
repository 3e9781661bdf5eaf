"""The shapes of parameters and answers as msgspec types, from which the OpenAPI document is made.

Handlers build their answers from records and rows; the tests hold every real answer against these types.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_REFERENCE = "2e891aea_0.1366641192.77832"
_INSTANCE = "100d73cb12cbf845.8089"
_BOOLEAN = r"^(true|false)$"

Absent = msgspec.UnsetType | None  # in JSON, null stands for it
Reference = Annotated[str, Meta(description="The reference of one start; opaque.", examples=[_REFERENCE])]
References = Annotated[
    str,
    Meta(min_length=1, description="References joined by '/'.", examples=[f"{_REFERENCE}/2e891aea_0.1366641192.77834"]),
]
InstanceText = Annotated[str, Meta(min_length=1, description="An application instance id.", examples=[_INSTANCE])]
_UNIQUE_ID = "452f1997-73ac-4b40-aaa9-f5516fe6b119"
UniqueId = Annotated[
    str, Meta(min_length=1, max_length=255, description="The identifier of a service_start.", examples=[_UNIQUE_ID])
]
NewUniqueId = Annotated[
    str,
    Meta(
        max_length=255,
        description="Makes the request safe to repeat: the same request under the same identifier starts nothing. "
        "Empty is none.",
        examples=[_UNIQUE_ID],
    ),
]
OutboundParameters = Annotated[
    str, Meta(description="REST service: another name of rest_calls. UAS service: text for the application.")
]
Delimiter = Annotated[str, Meta(max_length=1, description="UAS service: splits outbound_parameters into a start each.")]
Epoch = Annotated[float, Meta(description="Seconds since 1970 in UTC; 0.0 when it did not happen.")]
Dollars = Annotated[float, Meta(description="US dollars.")]
Seconds = Annotated[float, Meta(description="Seconds.")]
DatetimeText = Annotated[str, Meta(description="YYYY-MM-DD_hh:mm:ss in UTC; empty when it did not happen.")]
BooleanText = Annotated[str, Meta(pattern=_BOOLEAN, description="The text true or false.")]
Count = Annotated[int, Meta(ge=0)]


class SipHeader(msgspec.Struct, kw_only=True):
    """A header added to the outgoing call: names that begin with X-, User-to-User and Call-Info."""

    name: Annotated[str, Meta(max_length=100)]
    value: Annotated[str, Meta(max_length=2000)]


Instant = (
    Annotated[float, Meta(ge=946_684_800, lt=4_102_444_800)]
    | Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
            r"([Zz]|[+-][0-9]{2}:?[0-9]{2})$",
            examples=["2030-01-31T09:00:00Z"],
        ),
    ]
)
ClockTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-4]):[0-5][0-9]$", examples=["09:00"])]


_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
Days = Annotated[
    str,
    Meta(
        description="All when absent.",
        pattern=f"^{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*$",
        examples=["mon-fri", "mon,wed,sat-sun"],
    ),
]


class CallingHoursBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """When somebody may be called, by the clock where the telephone is."""

    time_zone: Annotated[str, Meta(max_length=80, examples=["Europe/London"])]
    from_: Annotated[ClockTime, Meta(description="The first minute of the window.")]
    to: Annotated[ClockTime, Meta(description="The minute it ends at: 24:00 at most; before from, on the next day.")]
    days: Days | msgspec.UnsetType = msgspec.UNSET


class AgainBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When, and how often, to try again."""

    after: Annotated[float, Meta(ge=1, le=604_800, description="Seconds after the attempt ended.")]
    times: Annotated[int, Meta(ge=1, le=100, description="1 when absent.")] | msgspec.UnsetType = msgspec.UNSET


class RetryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do after each way of reaching nobody; at least one."""

    busy: AgainBody | Absent = msgspec.UNSET
    no_answer: AgainBody | Absent = msgspec.UNSET
    unreachable: AgainBody | Absent = msgspec.UNSET


class RestCall(msgspec.Struct, kw_only=True):
    """One call to place for a REST service. Members that are not listed are ignored."""

    to: Annotated[str, Meta(description="A destination, such as tel:443069990123 or sip:bob@example.com.")]
    from_: (
        Annotated[
            str, Meta(max_length=255, description="Caller id; needed when the destination is a telephone number.")
        ]
        | Absent
    ) = msgspec.field(default=msgspec.UNSET, name="from")
    token: Annotated[str, Meta(max_length=5000, description="Handed to the application unchanged.")] | Absent = (
        msgspec.UNSET
    )
    outbound_parameters: Annotated[str, Meta(max_length=65536, description="Text for the application.")] | Absent = (
        msgspec.UNSET
    )
    extra_sip_headers: Annotated[list[SipHeader], Meta(max_length=20)] | Absent = msgspec.UNSET
    start_after: Annotated[Instant, Meta(description="Not dialled before.")] | Absent = msgspec.UNSET
    expires_at: Annotated[Instant, Meta(description="Not dialled from then on; later than start_after.")] | Absent = (
        msgspec.UNSET
    )
    ring_timeout: (
        Annotated[float, Meta(ge=1, le=600, description="Seconds to ring, instead of the service's.")] | Absent
    ) = msgspec.UNSET
    max_duration: (
        Annotated[float, Meta(ge=1, le=86_400, description="Seconds after which the call is ended.")] | Absent
    ) = msgspec.UNSET
    priority: (
        Annotated[int, Meta(ge=-10, le=10, description="Within the service the highest leaves first; 0 when absent.")]
        | Absent
    ) = msgspec.UNSET
    calling_hours: CallingHoursBody | Absent = msgspec.UNSET
    retry: RetryBody | Absent = msgspec.UNSET


class StartParameters(msgspec.Struct, kw_only=True):
    """What service_start reads: ``rest_calls`` for a REST service; the others but ``unique_id`` for a UAS service."""

    rest_calls: (
        Annotated[
            str,
            Meta(
                description="JSON text of one call, or of a list of them.",
                extra_json_schema={
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/RestCall"},
                            {"type": "array", "items": {"$ref": "#/components/schemas/RestCall"}},
                        ]
                    },
                },
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    outbound_parameters: OutboundParameters | msgspec.UnsetType = msgspec.UNSET
    count: (
        Annotated[str, Meta(pattern="^[+]?[0-9]{1,9}$", description="UAS service: how many instances; 1 to 10000.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    delimiter: Delimiter | msgspec.UnsetType = msgspec.UNSET
    unique_id: NewUniqueId | msgspec.UnsetType = msgspec.UNSET


class StartBody(msgspec.Struct, kw_only=True):
    """StartParameters as the members of a JSON object: the calls may be given as they are instead of as text."""

    rest_calls: str | RestCall | Annotated[list[RestCall], Meta(max_length=10_000)] | Absent = msgspec.UNSET
    outbound_parameters: OutboundParameters | Absent = msgspec.UNSET
    count: Annotated[int, Meta(ge=1, le=10_000, description="UAS service: how many instances.")] | Absent = (
        msgspec.UNSET
    )
    delimiter: Delimiter | Absent = msgspec.UNSET
    unique_id: NewUniqueId | Absent = msgspec.UNSET


class ReferencesParameters(msgspec.Struct, kw_only=True):
    """Which starts are meant."""

    service_refs: References


class JobParameters(msgspec.Struct, kw_only=True):
    """Which service_start is meant."""

    unique_id: UniqueId


class InstanceParameters(msgspec.Struct, kw_only=True):
    """Which application instance is meant."""

    application_instance_id: InstanceText


class StartStatusAnswer(msgspec.Struct, kw_only=True):
    """What is known of one start."""

    status: Annotated[
        str,
        Meta(
            pattern=r"^(queued|running|completed -?[0-9]+|couldnotrun .+|cancelled|unknown)$",
            description="The state, with the return code or the reason where there is one.",
        ),
    ]
    application_status_eta: Annotated[
        int, Meta(ge=0, description="Epoch second from which application_status answers; 0 when there is none.")
    ]
    application_instance_id: Annotated[str, Meta(description="The instance, from running on; else empty.")]


class JobAnswer(msgspec.Struct, kw_only=True):
    """What a unique_id started."""

    queued: Count
    service_refs: list[Reference]
    count: Count


class QueueAnswer(msgspec.Struct, kw_only=True):
    """One queue: the starts of a service that nobody was dialled for yet."""

    service_name: str
    length: Count


class PurgeAnswer(msgspec.Struct, kw_only=True):
    """A queue that was emptied, and how many starts were cancelled."""

    service_name: str
    purged: Count


class AdrAnswer(msgspec.Struct, kw_only=True):
    """The application data record of an instance."""

    application_instance_id: str
    application_name: str
    application_parameters: str
    costs_valid: BooleanText
    duration: Seconds
    exit_status: int
    extra_channel_count: Count
    extra_cost: Dollars
    fax: BooleanText
    feature_cost: Dollars
    feature_seconds: Seconds
    outbound_parameters: str
    platform_cost: Dollars
    pstn_cost: Dollars
    rest_from: str
    rest_initial_token: str
    rest_log_filename: str
    rest_to: str
    start_datetime: DatetimeText
    start_time: Epoch
    stop_datetime: DatetimeText
    stop_time: Epoch
    tollfree_cost: Dollars
    total_cost: Dollars
    tts_cost: Dollars
    tts_neural_cost: Dollars
    tts_neural_seconds: Seconds
    tts_neural_unit_cost: Dollars
    tts_seconds: Seconds
    tts_unit_cost: Dollars
    uas_ip_address: str
    uas_name: str


class CdrAnswer(msgspec.Struct, kw_only=True):
    """The record of one call."""

    call_connected_datetime: DatetimeText
    call_connected_time: Epoch
    call_cost: Dollars
    call_hangup_datetime: DatetimeText
    call_hangup_time: Epoch
    call_initiated_datetime: DatetimeText
    call_initiated_time: Epoch
    channel_type: Literal["p", "x", "ca", "cv"]
    costs_valid: BooleanText
    destination_address: str
    dir: Literal["in", "out", "client"]
    duration: Seconds
    hangup_cause: Annotated[str, Meta(examples=["NORMAL(200)", "BUSY(486)"])]
    joined: Seconds
    originating_address: str


class FdrAnswer(msgspec.Struct, kw_only=True):
    """The record of one use of a feature."""

    application_instance_id: str
    audio_path: Literal["in", "out", "mixed", ""]
    call_id: str
    cost: Dollars
    costs_valid: BooleanText
    duration: Seconds
    duration_for_cost: Seconds
    start_datetime: DatetimeText
    start_time: Epoch
    stop_datetime: DatetimeText
    stop_time: Epoch
    transaction_id: str
    type: str
    unit_cost: Dollars


class ErrorRecordAnswer(msgspec.Struct, kw_only=True):
    """Something that went wrong with an instance."""

    error_code: Annotated[str, Meta(pattern="^[0-9]{4}$")]
    error_link: str
    error_text: str


class ApplicationStatusAnswer(msgspec.Struct, kw_only=True):
    """The records of one application instance; the keys are call ids, numbers from 0, and feature ids."""

    adr: AdrAnswer
    cdrs: dict[str, CdrAnswer]
    errs: dict[str, ErrorRecordAnswer]
    fdrs: dict[str, FdrAnswer]


class HealthAnswer(msgspec.Struct, kw_only=True):
    """Whether the node takes calls; ``text`` says why when it does not."""

    status: Literal["ok", "draining"]
    version: str
    queue_length: Count
    running: Count
    text: str | msgspec.UnsetType = msgspec.UNSET


class ErrorExplanation(msgspec.Struct, kw_only=True):
    """What an error number means and what to do."""

    code: str
    text: str
    cause: str
    cure: str


class ErrorFacts(msgspec.Struct, kw_only=True):
    """What went wrong; ``details`` is there when several things did."""

    code: Annotated[str, Meta(pattern="^([0-9]{4}|HTTP [0-9]{3})$", examples=["0001", "HTTP 401"])]
    text: str
    datetime: DatetimeText
    link: str
    details: list[str] | msgspec.UnsetType = msgspec.UNSET


class ErrorRequest(msgspec.Struct, kw_only=True):
    """The request that failed: its path and when it arrived."""

    url: str
    datetime: DatetimeText


class ErrorAnswer(msgspec.Struct, kw_only=True):
    """The body of every error answer."""

    error: ErrorFacts
    request: ErrorRequest
