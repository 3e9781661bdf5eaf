"""What the web services answer, typed (docs/reference/web-services.md). Times are epoch seconds, costs US dollars."""

from __future__ import annotations

import msgspec


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """References of the starts queued, in the order of the calls; ``replayed`` when the ``unique_id`` was seen before
    and nothing new was started.
    """

    references: list[str]
    replayed: bool = False


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one start."""

    status: str
    application_status_eta: int
    application_instance_id: str

    @property
    def word(self) -> str:
        """``queued``, ``running``, ``completed``, ``couldnotrun``, ``cancelled`` or ``unknown``."""
        return self.status.partition(" ")[0]

    @property
    def return_code(self) -> int | None:
        """What the application returned, once it completed."""
        return int(self.status.partition(" ")[2]) if self.word == "completed" else None

    @property
    def reason(self) -> str:
        """Why it could not run, else ""."""
        return self.status.partition(" ")[2] if self.word == "couldnotrun" else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.word not in ("queued", "running")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``unique_id`` started."""

    queued: int
    service_refs: list[str]
    count: int


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The queue of a service: how many of its starts wait."""

    service_name: str
    length: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a node takes calls: ``status`` is ``ok`` or ``draining``, and ``text`` says why when it does not."""

    status: str
    version: str
    queue_length: int
    running: int
    text: str = ""


class Adr(msgspec.Struct, frozen=True, kw_only=True):
    """The application data record. ``costs_valid`` and ``fax`` are the texts "true" and "false"."""

    application_instance_id: str
    application_name: str
    application_parameters: str
    costs_valid: str
    duration: float
    exit_status: int
    extra_channel_count: int
    extra_cost: float
    fax: str
    feature_cost: float
    feature_seconds: float
    outbound_parameters: str
    platform_cost: float
    pstn_cost: float
    rest_from: str
    rest_initial_token: str
    rest_log_filename: str
    rest_to: str
    start_datetime: str
    start_time: float
    stop_datetime: str
    stop_time: float
    tollfree_cost: float
    total_cost: float
    tts_cost: float
    tts_neural_cost: float
    tts_neural_seconds: float
    tts_neural_unit_cost: float
    tts_seconds: float
    tts_unit_cost: float
    uas_ip_address: str
    uas_name: str


class Cdr(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one call; one that never connected has ``call_connected_time`` 0.0."""

    call_connected_datetime: str
    call_connected_time: float
    call_cost: float
    call_hangup_datetime: str
    call_hangup_time: float
    call_initiated_datetime: str
    call_initiated_time: float
    channel_type: str
    costs_valid: str
    destination_address: str
    dir: str
    duration: float
    hangup_cause: str
    joined: float
    originating_address: str


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong with an instance."""

    error_code: str
    error_link: str
    error_text: str


class Fdr(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one use of a feature."""

    application_instance_id: str
    audio_path: str
    call_id: str
    cost: float
    costs_valid: str
    duration: float
    duration_for_cost: float
    start_datetime: str
    start_time: float
    stop_datetime: str
    stop_time: float
    transaction_id: str
    type: str
    unit_cost: float


class ApplicationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All records of one application instance."""

    adr: Adr
    cdrs: dict[str, Cdr]
    errs: dict[str, ErrorReport]
    fdrs: dict[str, Fdr] = {}
