"""A ladder says who said what to whom and when, and what was said again."""

from __future__ import annotations

from callwright.trace.ladder import draw, gists
from callwright.trace.message import KeptMessage

NEAR, FAR = ("192.0.2.1", 5060), ("192.0.2.9", 5070)


def message(first: str, cseq: str, at: float, *, sent: bool, branch: str = "z1", left_out: int = 0) -> KeptMessage:
    data = f"{first}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\nCall-ID: w\r\nCSeq: {cseq}\r\n\r\n".encode()
    return KeptMessage("c.1.1", "w", 1000.0 + at, sent, "UDP", NEAR, FAR, data, len(data), left_out)


def test_a_refused_call_with_a_lost_answer_is_drawn() -> None:
    invite = "INVITE sip:1@192.0.2.9 SIP/2.0"
    lines = list(
        draw(
            [
                message(invite, "1 INVITE", 0.0, sent=True),
                message(invite, "1 INVITE", 0.5, sent=True),
                message("SIP/2.0 486 Busy Here", "1 INVITE", 0.5124, sent=False),
                message("ACK sip:1@192.0.2.9 SIP/2.0", "1 ACK", 0.5126, sent=True),
                message("SIP/2.0 486 Busy Here", "1 INVITE", 1.0124, sent=False, left_out=2),
            ]
        )
    )
    assert lines[0] == "from 1970-01-01 00:16:40.000 UTC, times in ms"
    assert lines[2].strip() == "Call-ID w"
    assert lines[3].split() == ["callwright", "192.0.2.1:5060", "192.0.2.9:5070", "UDP"]
    assert [line.split()[0] for line in lines[4:8]] == ["0", "500", "512", "513"]
    assert "INVITE (1) ---" in lines[4]
    assert lines[4].rstrip(" 1").endswith(">|")
    assert "INVITE (1) (again)" in lines[5]
    assert "|<" in lines[6]
    assert "486 Busy Here (1 INVITE) ---" in lines[6]
    assert "(2 messages were not kept)" in lines[8]
    assert "486 Busy Here (1 INVITE) (again)" in lines[9]
    assert len({len(line) for line in lines[4:8]}) == 1, "the life lines are straight"


def test_the_same_request_with_a_new_branch_is_no_repetition() -> None:
    first = message("INVITE sip:1@x SIP/2.0", "1 INVITE", 0, sent=True)
    second = message("INVITE sip:1@x SIP/2.0", "2 INVITE", 1, sent=True, branch="z2")
    assert [gist.again for gist in gists([first, second, second])] == [False, False, True]


def test_a_far_end_cannot_steer_the_terminal() -> None:
    evil = message("SIP/2.0 200 \x1b[31mRed\x07\x9b2J", "1 INVITE", 0, sent=False)
    shown = "\n".join(draw([evil], full=True))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown
    assert "200 .[31mRed" in shown


def test_noise_is_drawn_too() -> None:
    noise = KeptMessage("c", "w", 0.0, False, "TCP", NEAR, ("::1", 5), b"\xff\x00 nonsense", 11)
    assert any("[::1]:5 TCP" in line for line in draw([noise], full=True))
    assert list(draw([])) == []
