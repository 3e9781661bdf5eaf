"""The torture messages of RFC 4475: a verdict for each, from the parser and from a core that receives it.

A core's verdict is the code of its answer, "invited" when it takes the call, or "dropped" for what deserves no answer.
Where the RFC lets a receiver be liberal, the choice stands beside the file's name.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.sip_talk import make_core

from callwright.sip.errors import SipParseError
from callwright.sip.event import Invited
from callwright.sip.message import Request, Response
from callwright.sip.parser import BadRequest, parse_message

DATA = Path(__file__).parents[2] / "data" / "rfc4475"

# file: what the core does with it
VERDICTS = {
    # 3.1.1 valid
    "wsinv": "481",  # it is read; its To tag names a dialog we do not have
    "intmeth": "405",
    "esc01": "invited",
    "escnull": "405",
    "esc02": "405",
    "lwsdisp": "200",
    "longreq": "invited",
    "dblreq": "405",
    "semiuri": "200",
    "transports": "200",
    "mpart01": "405",
    "unreason": "dropped",
    "noreason": "dropped",
    # 3.1.2 invalid
    "badinv01": "400",
    "clerr": "400",
    "ncl": "400",
    "scalar02": "400",
    "scalarlg": "dropped",
    "quotbal": "400",
    "ltgtruri": "400",
    "lwsruri": "400",
    "lwsstart": "400",  # strict: a loose request line can be read in two ways
    "trws": "400",  # strict, as above
    "escruri": "400",
    "baddate": "invited",  # liberal: we need no Date
    "regbadct": "405",  # liberal: no Contact of a REGISTER is read
    "badaspec": "200",  # liberal: spaces inside the brackets have one meaning only
    "baddn": "400",
    "badvers": "505",
    "mismatch01": "400",
    "mismatch02": "400",
    "bigcode": "dropped",
    # 3.2 transaction layer
    "badbranch": "200",
    # 3.3 application layer
    "insuf": "400",
    "unkscm": "416",
    "novelsc": "416",
    "unksm2": "405",
    "bext01": "420",
    "invut": "415",
    "regaut01": "405",
    "multi01": "400",
    "mcl01": "400",
    "bcast": "dropped",
    "zeromf": "200",  # a user agent may answer OPTIONS itself
    "cparam01": "405",
    "cparam02": "405",
    "regescrt": "405",
    "sdp01": "406",
    # 3.4 backward compatibility
    "inv2543": "invited",
}
REFUSED_BY_PARSER = {name for name, verdict in VERDICTS.items() if verdict in ("400", "505")} | {"scalarlg", "bigcode"}


def bytes_of(name: str) -> bytes:
    return (DATA / f"{name}.dat").read_bytes()


def verdict_of(data: bytes) -> str:
    core = make_core()
    core.receive(data, ("192.0.2.200", 5060), 0.0)
    events = core.take_events()
    if events:
        assert [type(event) for event in events] == [Invited]
        assert core.take_sends() == []
        return "invited"
    sends = core.take_sends()
    if not sends:
        return "dropped"
    assert len(sends) == 1
    return sends[0].data.split(b" ")[1].decode()


def test_there_is_a_verdict_for_every_message() -> None:
    assert {path.stem for path in DATA.glob("*.dat")} == set(VERDICTS)
    assert len(VERDICTS) == 49


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_the_core_gives_the_verdict(name: str) -> None:
    assert verdict_of(bytes_of(name)) == VERDICTS[name]


@pytest.mark.parametrize("name", sorted(set(VERDICTS) - REFUSED_BY_PARSER))
def test_a_message_that_is_read_can_be_written_and_read_again(name: str) -> None:
    message = parse_message(bytes_of(name))
    again = parse_message(message.render())
    assert again.body == message.body
    assert again.head == message.head
    assert parse_message(again.render()) == again


@pytest.mark.parametrize("name", sorted(REFUSED_BY_PARSER))
def test_a_broken_message_is_the_peers_fault(name: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(bytes_of(name))
    if VERDICTS[name] != "dropped":
        assert isinstance(caught.value, BadRequest)
        assert str(caught.value.code) == VERDICTS[name]


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_cut_at_every_byte_only_the_peer_is_blamed(name: str) -> None:
    data = bytes_of(name)
    core = make_core()
    for length in range(len(data)):
        core.receive(data[:length], ("192.0.2.200", 5060), 0.0)
        try:
            parse_message(data[:length])
        except SipParseError:
            pass


def test_wsinv_is_read_in_spite_of_its_white_space() -> None:
    request = parse_message(bytes_of("wsinv"))
    assert isinstance(request, Request)
    head = request.head
    assert (head.to.tag, head.from_.tag, head.from_.display) == ("1918181833n", "98asjd8", 'J Rosenberg \\"')
    assert (head.cseq, head.method) == (9, "INVITE")
    assert head.via.host == "192.0.2.2"
    assert request.headers.get("subject") == ""
    assert len(request.headers.listed("via")) == 3


def test_intmeth_keeps_its_unusual_method_and_call_id() -> None:
    request = parse_message(bytes_of("intmeth"))
    assert isinstance(request, Request)
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.head.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert request.head.from_.uri == "sip:mundane@example.com"


def test_dblreq_ends_where_its_content_length_says() -> None:
    request = parse_message(bytes_of("dblreq"))
    assert isinstance(request, Request)
    assert (request.method, request.body) == ("REGISTER", b"")


def test_unreason_and_noreason_are_responses_with_their_reasons() -> None:
    unreason, noreason = parse_message(bytes_of("unreason")), parse_message(bytes_of("noreason"))
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert unreason.reason.startswith("= 2**3 * 5**2")
    assert (noreason.code, noreason.reason) == (100, "")


def test_badbranch_twice_with_another_call_id_is_two_transactions() -> None:
    core = make_core()
    data = bytes_of("badbranch")
    core.receive(data, ("192.0.2.200", 5060), 0.0)
    core.receive(data.replace(b"Call-ID: ", b"Call-ID: x"), ("192.0.2.200", 5060), 0.0)
    assert core.dialogs() == 2
