"""What ``trunk test`` says of a trunk reached by TLS: a certificate that is believed, soon over, or not believed."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from tests.support.tls import Authority
from tests.support.trunks import HOST, open_socket, trunk, trunks_alone

from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_check import DAY_S, Finding, Verdict, examine
from callwright.sip.way import Transport


async def look(port: int, tls: TlsSettings, *, epoch: float) -> list[Finding]:
    async with trunks_alone(trunk("secure", port, transport=Transport.TLS), tls=tls) as trunks:
        line = trunks.line("secure")
        assert line is not None
        return await examine(line, trunks.link, domain="us.example", epoch=epoch)


def test_the_certificate_of_a_trunk_is_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.certify(HOST)
        far_end = await open_socket(TlsSettings(certificate=certificate, key=key, port=0))
        friend, now = TlsSettings(authorities=authority.file), time.time()

        [shown, options, *_] = await look(far_end.tls_port, friend, epoch=now - 30 * DAY_S)
        assert shown.verdict is Verdict.GOOD
        assert "is believed and good for another 31 days" in shown.text
        assert "OPTIONS was answered 200" in options.text
        [shown, *_] = await look(far_end.tls_port, friend, epoch=now)
        assert shown.verdict is Verdict.NOTE
        assert "expires in 1.0 days" in shown.text
        [shown, *others] = await look(far_end.tls_port, TlsSettings(), epoch=now)
        assert shown.verdict is Verdict.BAD
        assert "is not believed: unable to get local issuer certificate" in shown.text
        assert not any("OPTIONS" in each.text or "Nobody listens" in each.text for each in others)
        [shown, options, *_] = await look(far_end.tls_port, TlsSettings(verify=False), epoch=now)
        assert (shown.verdict, options.verdict) == (Verdict.NOTE, Verdict.GOOD)
        [shown, *_] = await look(far_end.address[1], friend, epoch=now)
        assert shown.verdict is Verdict.BAD
        assert f"No TLS with {HOST} port {far_end.address[1]}" in shown.text
        await far_end.close()

    asyncio.run(story())


def test_a_certificate_for_another_name_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.certify("other.example")
        far_end = await open_socket(TlsSettings(certificate=certificate, key=key, port=0))
        [shown, *_] = await look(far_end.tls_port, TlsSettings(authorities=authority.file), epoch=time.time())
        assert "is not believed: IP address mismatch" in shown.text
        await far_end.close()

    asyncio.run(story())


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        [shown, *_] = asyncio.run(look(taken.getsockname()[1], TlsSettings(), epoch=0.0))
    assert "No TLS with" in shown.text
