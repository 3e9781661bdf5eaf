"""What the settings come to for the parts of a node: values made from values, nothing is opened here."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from callwright.apps.rest.addresses import AddressPolicy
from callwright.config.binding import is_for_this_machine, pages_may_be_on_loopback
from callwright.config.settings import Settings
from callwright.housekeeping import Keeping
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.money import Money
from callwright.web.edge import Limits

PRIVATE_NETWORKS = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"))
)


def page_policy(settings: Settings) -> AddressPolicy:
    """Return at which addresses pages may be asked for."""
    allowed = tuple(map(ip_network, settings.pages.allow))
    if settings.pages.allow_private:
        allowed += PRIVATE_NETWORKS
    return AddressPolicy(allow_loopback=pages_may_be_on_loopback(settings), allowed=allowed)


def open_to_sip(settings: Settings) -> Callable[[str], bool]:
    """Return what tells whether SIP addresses may be called at an IP address that is not public: at any while only
    users of this machine can ask for calls.
    """
    allowed = tuple(map(ip_network, settings.sip.allow))
    if is_for_this_machine(settings):
        return lambda _address: True
    return lambda address: any(ip_address(address) in network for network in allowed)


def limits(settings: Settings) -> Limits:
    """Return what one request to the web services may ask for."""
    return Limits(
        max_body_bytes=settings.limits.body_bytes,
        requests_per_account=settings.limits.requests_per_account,
        requests_per_address=settings.limits.requests_per_address,
        max_wait_s=settings.calls.queue_limit_s,
        ring_timeout_s=settings.calls.ring_timeout_s,
    )


def record_settings(settings: Settings, http_base: str) -> RecordSettings:
    """Return how records are rated and written; ``http_base`` is where this node's own web services are."""
    rates = settings.rates
    return RecordSettings(
        rates=RateCard(
            platform=Money(rates.platform),
            pstn=Money(rates.pstn),
            tollfree=Money(rates.tollfree),
            tts=Money(rates.tts),
            tts_neural=Money(rates.tts_neural),
            tollfree_prefixes=rates.tollfree_prefixes,
        ),
        include_neural_in_total=settings.records.include_neural_in_total,
        cdr_rated=settings.records.cdr_rated,
        error_link=settings.error_link_base(http_base),
        sip_domain=settings.sip_domain,
    )


def keeping(settings: Settings) -> Keeping:
    """Return how long records, references, logs and recordings are kept."""
    kept = settings.records
    return Keeping(
        records_days=kept.keep_days,
        references_days=kept.keep_references_days,
        logs_days=kept.keep_logs_days,
        recordings_days=kept.keep_recordings_days,
    )
