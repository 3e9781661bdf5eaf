"""Which addresses are safe to listen on with plain HTTP."""

from __future__ import annotations

import ipaddress

from callwright.config.errors import SettingsError
from callwright.config.settings import Settings


def check_binding(settings: Settings) -> None:
    """Raise ``SettingsError`` when plain HTTP would be offered beyond this machine without saying so."""
    http = settings.http
    if http.certificate is not None or is_loopback(http.host) or http.behind_proxy or http.insecure_http:
        return
    raise SettingsError(
        f"http.host is {http.host}, which other machines can reach, and callwright speaks plain HTTP: passwords would "
        "cross the network in clear. Give it a certificate (http.certificate and http.key), or put a proxy that ends "
        "TLS in front and say --behind-proxy, or accept the risk with --insecure-http, or listen on 127.0.0.1.",
        field="http.host",
    )


def pages_may_be_on_loopback(settings: Settings) -> bool:
    """Tell whether pages on loopback may be asked: while the web services themselves are on loopback."""
    return settings.pages.allow_private or is_for_this_machine(settings)


def is_for_this_machine(settings: Settings) -> bool:
    """Tell whether only this machine's own users reach the web services: behind a proxy anybody may."""
    return is_loopback(settings.http.host) and not settings.http.behind_proxy


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach ``host``; a name other than localhost counts as reachable by others."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
