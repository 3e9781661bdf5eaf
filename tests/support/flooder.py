"""Sends broken datagrams to a port at a steady rate, as ``python -m tests.support.flooder HOST PORT RATE SECONDS``.

It prints how many it sent. Half of them nearly are SIP (mutated requests and responses), the rest is noise.
"""

from __future__ import annotations

import socket
import sys
import time
from random import Random

from tests.support.fuzz import Mutator
from tests.support.fuzz_sip import SDP, TORTURE
from tests.support.sip_talk import request_from_peer, response_to

_EVERY_S = 0.01
_KINDS = 4_000


def junk(seed: int) -> list[bytes]:
    """Return datagrams to send: each once whole and many times broken."""
    chance = Random(seed)
    mutator = Mutator(chance, TORTURE)
    whole = [
        request_from_peer(method, branch=f"z9hG4bKf{index}", call_id=f"f{index}", body=SDP).render()
        for index, method in enumerate(["INVITE", "OPTIONS", "BYE", "ACK", "CANCEL", "REGISTER", "INFO"] * 20)
    ]
    whole += [response_to(request_from_peer("INVITE"), code, tag="x").render() for code in (100, 180, 200, 404, 503)]
    broken = [mutator.mutate(chance.choice([*whole, *TORTURE])) for _ in range(_KINDS)]
    noise = [chance.randbytes(chance.randint(1, 1400)) for _ in range(_KINDS // 2)]
    return [datagram[:8192] for datagram in [*broken, *noise, *whole]]


def flood(address: tuple[str, int], rate: int, seconds: float) -> int:
    """Send; return how many left."""
    datagrams = junk(1)
    sent, began = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        while (passed := time.monotonic() - began) < seconds:
            while sent < rate * passed:
                source.sendto(datagrams[sent % len(datagrams)], address)
                sent += 1
            time.sleep(_EVERY_S)
    return sent


if __name__ == "__main__":
    host, port, rate, seconds = sys.argv[1:]
    sys.stdout.write(f"{flood((host, int(port)), int(rate), float(seconds))}\n")
