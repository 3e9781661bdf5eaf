"""The web services over TLS, with certificates made for the test and Python's own TLS client."""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from pathlib import Path

import pytest
from tests.support.certificates import write_certificate
from tests.support.web_node import web_node

from callwright.client import Client, NotReached
from callwright.web.tls import BadCertificate, Certificate


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def _hello(port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """Return the TLS version that was agreed on and the first line of the answer of /health."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        version: str = writer.get_extra_info("ssl_object").version()
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.close()
    return version, answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("version", "word"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_tls_1_2_and_1_3_are_spoken(tmp_path: Path, version: ssl.TLSVersion, word: str) -> None:
    files = write_certificate(tmp_path)

    async def run() -> None:
        async with web_node(tmp_path, certificate=Certificate(*files)) as node:
            context = _trusting(files[0])
            context.minimum_version = context.maximum_version = version
            answer = await _hello(int(node.base.rpartition(":")[2]), context)
            assert answer == (word, b"HTTP/1.1 200 OK")

    asyncio.run(run())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    files = write_certificate(tmp_path)

    async def run() -> None:
        async with web_node(tmp_path, certificate=Certificate(*files)) as node:
            port = int(node.base.rpartition(":")[2])
            context = _trusting(files[0])
            context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not even offer these versions
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await _hello(port, context)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            assert (await _hello(port, context))[0] == "TLSv1.2"

    asyncio.run(run())


def test_plain_http_on_a_tls_port_is_closed_and_the_port_goes_on(tmp_path: Path) -> None:
    files = write_certificate(tmp_path)

    async def run() -> None:
        async with web_node(tmp_path, certificate=Certificate(*files)) as node:
            port = int(node.base.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(10):
                assert b"200 OK" not in await reader.read()
            writer.close()
            assert (await _hello(port, _trusting(files[0])))[1] == b"HTTP/1.1 200 OK"

    asyncio.run(run())


def test_the_typed_client_works_over_tls_and_trusts_nobody_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_certificate(tmp_path)

    async def run() -> None:
        async with web_node(tmp_path, certificate=Certificate(*files)) as node:
            _, key = node.add_account()
            client = Client(node.base, username="bob@example.com", access_key=key)
            with pytest.raises(NotReached, match="CERTIFICATE_VERIFY_FAILED"):
                await asyncio.to_thread(client.service_status, "a")
            monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
            assert (await asyncio.to_thread(client.service_status, "a"))["a"].word == "unknown"

    asyncio.run(run())


def test_a_renewed_certificate_is_used_for_new_connections_and_a_bad_one_is_not(tmp_path: Path) -> None:
    files = write_certificate(tmp_path)
    certificate = Certificate(*files)

    def put(pem: bytes, key: bytes, at: int) -> None:
        for path, content in zip(files, (pem, key), strict=True):
            path.write_bytes(content)
            os.utime(path, (at, at))

    async def run() -> None:
        async with web_node(tmp_path, certificate=certificate) as node:
            port = int(node.base.rpartition(":")[2])
            old = _trusting(files[0])
            assert certificate.renew() is False
            other = write_certificate(tmp_path, "other")
            put(other[0].read_bytes(), b"no key", at=1_000)
            assert certificate.renew() is False
            assert (await _hello(port, old))[1] == b"HTTP/1.1 200 OK"
            put(other[0].read_bytes(), other[1].read_bytes(), at=2_000)
            assert certificate.renew() is True
            assert (await _hello(port, _trusting(other[0])))[1] == b"HTTP/1.1 200 OK"
            with pytest.raises(ssl.SSLCertVerificationError):
                await _hello(port, old)

    asyncio.run(run())


def test_files_that_cannot_be_used_are_one_clear_error(tmp_path: Path) -> None:
    pem, key = write_certificate(tmp_path)
    with pytest.raises(BadCertificate, match=r"missing\.pem does not exist"):
        Certificate(tmp_path / "missing.pem", key)
    _, other_key = write_certificate(tmp_path, "other")
    with pytest.raises(BadCertificate, match="the key must be that of the certificate"):
        Certificate(pem, other_key)
    with pytest.raises(BadCertificate, match="both must be PEM"):
        Certificate(key, key)
