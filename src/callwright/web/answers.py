"""The shapes of parameters and answers as msgspec types, from which the OpenAPI document is made (ruling 35).

Handlers build their answers from records and rows; the tests hold every real answer against these types.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_REFERENCE = "2e891aea_0.1366641192.77832"
_INSTANCE = "100d73cb12cbf845.8089"
_BOOLEAN = r"^(true|false)$"

Reference = Annotated[str, Meta(description="The reference of one start; opaque.", examples=[_REFERENCE])]
References = Annotated[
    str,
    Meta(min_length=1, description="References joined by '/'.", examples=[f"{_REFERENCE}/2e891aea_0.1366641192.77834"]),
]
InstanceText = Annotated[str, Meta(min_length=1, description="An application instance id.", examples=[_INSTANCE])]
UniqueId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="Makes the request safe to repeat: the same request under the same identifier starts nothing.",
        examples=["452f1997-73ac-4b40-aaa9-f5516fe6b119"],
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


class RestCall(msgspec.Struct, kw_only=True):
    """One call to place for a REST service. Members that are not listed are ignored."""

    to: Annotated[str, Meta(description="A destination, such as tel:443069990123 or sip:bob@example.com.")]
    from_: (
        Annotated[
            str, Meta(max_length=255, description="Caller id; needed when the destination is a telephone number.")
        ]
        | msgspec.UnsetType
    ) = msgspec.field(default=msgspec.UNSET, name="from")
    token: (
        Annotated[str, Meta(max_length=5000, description="Handed to the application unchanged.")] | msgspec.UnsetType
    ) = msgspec.UNSET
    outbound_parameters: (
        Annotated[str, Meta(max_length=65536, description="Text for the application.")] | msgspec.UnsetType
    ) = msgspec.UNSET
    extra_sip_headers: Annotated[list[SipHeader], Meta(max_length=20)] | msgspec.UnsetType = msgspec.UNSET


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
    unique_id: UniqueId | msgspec.UnsetType = msgspec.UNSET


class StartBody(msgspec.Struct, kw_only=True):
    """StartParameters as the members of a JSON object: the calls may be given as they are instead of as text."""

    rest_calls: str | RestCall | Annotated[list[RestCall], Meta(max_length=10_000)] | msgspec.UnsetType = msgspec.UNSET
    outbound_parameters: OutboundParameters | msgspec.UnsetType = msgspec.UNSET
    count: Annotated[int, Meta(ge=1, le=10_000, description="UAS service: how many instances.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    delimiter: Delimiter | msgspec.UnsetType = msgspec.UNSET
    unique_id: UniqueId | msgspec.UnsetType = msgspec.UNSET


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
