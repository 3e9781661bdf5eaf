"""Addresses as ``serve`` takes them."""

from __future__ import annotations

import pytest

from callwright.cli.serve import _address, _whole_address
from callwright.config.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("8080", None, 8080),
        (":8080", None, 8080),
        ("localhost", "localhost", None),
        ("localhost:", "localhost", None),
        ("[::1]:8080", "::1", 8080),
        ("127.0.0.1:0", "127.0.0.1", 0),
    ],
)
def test_an_address_is_a_host_a_port_or_both(text: str, host: str | None, port: int | None) -> None:
    assert _address("http", text) == {"http.host": host, "http.port": port}


def test_an_address_that_was_not_given_overrides_nothing() -> None:
    assert _address("sip", None) == {}


@pytest.mark.parametrize("text", ["", ":", "host:port", "127.0.0.1:80a"])
def test_an_address_that_is_none_names_its_option(text: str) -> None:
    with pytest.raises(SettingsError, match="--sip"):
        _address("sip", text)


def test_the_address_of_another_network_needs_both_parts() -> None:
    assert _whole_address("sandbox-at", "[::1]:5080") == ("::1", 5080)
    for text in ("5080", "host", "host:", ":5080"):
        with pytest.raises(SettingsError, match="--sandbox-at"):
            _whole_address("sandbox-at", text)
