"""Whoever guesses passwords from the many IPv6 addresses one customer has is one guesser."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from tests.support.web_node import key_login, web_node

from callwright.accounts.throttle import FREE_FAILURES
from callwright.web.errors import HttpProblem
from callwright.web.login import account_asking


def asking(address: str) -> Request:
    headers = [(b"authorization", key_login("wrong")["Authorization"].encode())]
    return Request({"type": "http", "headers": headers, "client": (address, 50000)})


def test_all_addresses_of_one_ipv6_network_share_their_failures(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            node.add_account()

            async def status(address: str) -> int:
                try:
                    await account_asking(asking(address), node.edge)
                except HttpProblem as problem:
                    return problem.status
                raise AssertionError("a wrong key opened an account")

            assert {await status(f"2001:db8:7:7::{n:x}") for n in range(FREE_FAILURES)} == {401}
            assert await status("2001:db8:7:7:ffff::1") == 429
            assert await status("2001:db8:7:8::1") == 401

    asyncio.run(run())
