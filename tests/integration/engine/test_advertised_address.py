"""The address a node tells far ends for its sound: never one they cannot send to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from callwright.config.errors import SettingsError
from callwright.config.settings import HttpSettings, Settings, SipSettings
from callwright.server import NodeAddresses, StopRequest, run_node


@pytest.mark.parametrize(
    ("host", "advertised", "problem"),
    [
        ("0.0.0.0", "", "far ends must be told one"),
        ("::", "", "far ends must be told one"),
        ("127.0.0.1", "nowhere.invalid", "nowhere.invalid is no address"),
        ("127.0.0.1", "::1", "::1 is no address far ends could reach sip.host 127.0.0.1 by"),
    ],
)
def test_node_without_an_address_to_tell_does_not_start(
    tmp_path: Path, host: str, advertised: str, problem: str
) -> None:
    settings = replace(
        Settings(),
        data=tmp_path,
        http=HttpSettings(port=0),
        sip=SipSettings(host=host, port=0, advertised_address=advertised),
    )

    def ready(addresses: NodeAddresses) -> None:
        raise AssertionError("the node started")

    with pytest.raises(SettingsError, match=problem) as refused:
        asyncio.run(run_node(settings, stop=StopRequest(), on_ready=ready))
    assert refused.value.field == "sip.advertised_address"
